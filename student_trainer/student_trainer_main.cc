// A worker that trains students for a coordinator.

#include <glog/logging.h>

#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "base/metrics_flags.h"
#include "base/server.h"
#include "student_trainer/device.h"
#include "student_trainer/worker.h"
#include "student_trainer/worker_flags.h"

KODISTIL_DEFINE_WORKER_FLAGS();
KODISTIL_DEFINE_CLIENT_ACCESS_FLAGS();
KODISTIL_DEFINE_METRICS_FLAGS();

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  BlockStopSignals();
  ParseCommandLine(
      argc, argv,
      {"bazel run //student_trainer --",
       "Trains students for a coordinator until its sweep is over. On SIGTERM "
       "it gives its trials back and exits with 75; a second SIGTERM ends it "
       "at once. Exits with 42 when no restart would help.",
       {"bazel run //student_trainer -- --coordinator=127.0.0.1:50050",
        "bazel run //student_trainer -- --coordinator=head:50050 --threads=4 "
        "--cache_dir=/var/tmp/kodistil"}});
  WorkerOptions options = WorkerOptionsFromFlags();
  options.access = ClientAccessFromFlags();
  const std::string warning = SlowBlasWarning();
  if (!warning.empty()) LOG(WARNING) << warning;
  auto metrics = MetricsEndpoint::Start(MetricsFromFlags());
  if (!metrics.ok()) return ExitCodeOf(metrics.status());
  // Never deleted: the thread may outlive main's end.
  auto* stop = new absl::Notification;
  auto* endpoint = metrics->release();
  std::thread([stop, endpoint] {
    WaitForStopSignal();
    endpoint->BeginDrain();
    LOG(INFO) << "stopping after the current step; again to stop at once";
    stop->Notify();
  }).detach();
  endpoint->SetReady(absl::OkStatus());
  return WorkerExitCode(RunWorker(options, *stop));
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
