// A worker that trains students for a coordinator.

#include <glog/logging.h>

#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/command_line.h"
#include "base/server.h"
#include "student_trainer/device.h"
#include "student_trainer/worker.h"
#include "student_trainer/worker_flags.h"

KODISTIL_DEFINE_WORKER_FLAGS();

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  BlockStopSignals();
  ParseCommandLine(
      argc, argv,
      {"bazel run //student_trainer --",
       "Trains students for a coordinator until its sweep is over. On SIGTERM "
       "it gives its trials back and exits with 75; a second SIGTERM ends it "
       "at once.",
       {"bazel run //student_trainer -- --coordinator=127.0.0.1:50050",
        "bazel run //student_trainer -- --coordinator=head:50050 --threads=4 "
        "--cache_dir=/var/tmp/kodistil"}});
  const WorkerOptions options = WorkerOptionsFromFlags();
  const std::string warning = SlowBlasWarning();
  if (!warning.empty()) LOG(WARNING) << warning;
  // Never deleted: the thread may outlive main's end.
  auto* stop = new absl::Notification;
  std::thread([stop] {
    WaitForStopSignal();
    LOG(INFO) << "stopping after the current step; again to stop at once";
    stop->Notify();
  }).detach();
  const absl::StatusOr<WorkerEnd> end = RunWorker(options, *stop);
  if (!end.ok()) return ExitCodeOf(end.status());
  return *end == WorkerEnd::kStopped ? kExitRetry : kExitOk;
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
