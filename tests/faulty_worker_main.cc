// The worker of student_trainer/, with a fault that the environment describes:
//   FAULT        "abort" (the process) or "hang" (the training)
//   FAULT_LOSS   in trials with this loss_option
//   FAULT_EPOCH  in this epoch, from 1
//   FAULT_ONCE   a file that is made by the fault; where it is, there is none

#include <cstdlib>
#include <string>

#include "absl/synchronization/notification.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/server.h"
#include "student_trainer/worker.h"
#include "student_trainer/worker_flags.h"

KODISTIL_DEFINE_WORKER_FLAGS();

namespace kodistil {
namespace {

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

void Misbehave(const v1::LeasedTrial& trial, const TrainProgress& progress) {
  if (trial.config().loss_option() != Environment("FAULT_LOSS")) return;
  if (std::to_string(progress.epoch) != Environment("FAULT_EPOCH")) return;
  const std::string once = Environment("FAULT_ONCE");
  if (!once.empty()) {
    if (FileExists(once) || !WriteFileAtomically(once, "").ok()) return;
  }
  if (Environment("FAULT") == "abort") std::abort();
  if (Environment("FAULT") == "hang") {
    absl::Notification never;
    never.WaitForNotification();
  }
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::BlockStopSignals();
  kodistil::ParseCommandLine(argc, argv, {"faulty_worker", "", {}});
  kodistil::WorkerOptions options = WorkerOptionsFromFlags();
  options.on_progress = kodistil::Misbehave;
  const absl::Notification never;
  return kodistil::ExitCodeOf(kodistil::RunWorker(options, never).status());
}
