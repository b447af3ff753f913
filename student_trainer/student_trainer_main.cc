// A worker that trains students for a coordinator.

#include <glog/logging.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "base/metrics_flags.h"
#include "base/server.h"
#include "student_trainer/device.h"
#include "student_trainer/worker.h"

ABSL_FLAG(std::string, coordinator, kodistil::WorkerOptions().coordinator,
          "The coordinator's host:port. Nothing else is needed: datasets, "
          "vocabularies and logits come from there.");
ABSL_FLAG(std::string, cache_dir, kodistil::WorkerOptions().cache_dir,
          "Folder for datasets, tokens, logits and checkpoints, shared by the "
          "workers of a machine. Empty: kodistil/worker in XDG_CACHE_HOME or "
          "~/.cache.");
ABSL_FLAG(int, threads, kodistil::WorkerOptions().threads,
          "Threads of all trainings together.");
ABSL_FLAG(int, pack, kodistil::WorkerOptions().pack,
          "Trials to ask for at once, trained together over the same batches; "
          "0: one a thread, and one on a GPU.");
ABSL_FLAG(std::string, device, kodistil::WorkerOptions().device,
          "cpu, cuda:N, or auto (a GPU if there is one). On cpu the results "
          "are the same bit by bit where the instruction set is the same.");
ABSL_FLAG(std::string, name, kodistil::WorkerOptions().name,
          "What the coordinator calls this worker. Empty: host/pid.");
ABSL_FLAG(absl::Duration, coordinator_timeout,
          kodistil::WorkerOptions().coordinator_timeout,
          "How long a coordinator that cannot be reached is asked again, such "
          "as 90s or 5m.");
ABSL_FLAG(absl::Duration, idle_exit, kodistil::WorkerOptions().idle_exit,
          "Exit when there was nothing to do for so long, such as 10m.");
KODISTIL_DEFINE_CLIENT_ACCESS_FLAGS();

KODISTIL_DEFINE_METRICS_FLAGS();

namespace kodistil {
namespace {

WorkerOptions OptionsFromFlags() {
  WorkerOptions options;
  options.coordinator = absl::GetFlag(FLAGS_coordinator);
  options.cache_dir = absl::GetFlag(FLAGS_cache_dir);
  if (options.cache_dir.empty()) options.cache_dir = DefaultCacheDir();
  options.threads = absl::GetFlag(FLAGS_threads);
  options.pack = absl::GetFlag(FLAGS_pack);
  options.device = absl::GetFlag(FLAGS_device);
  options.name = absl::GetFlag(FLAGS_name);
  options.coordinator_timeout = absl::GetFlag(FLAGS_coordinator_timeout);
  options.idle_exit = absl::GetFlag(FLAGS_idle_exit);
  options.build = VersionString();
  options.access = ClientAccessFromFlags();
  return options;
}

int Main(int argc, char** argv) {
  BlockStopSignals();
  ParseCommandLine(
      argc, argv,
      {"bazel run //student_trainer --",
       "Trains students for a coordinator until its sweep is over. On SIGTERM "
       "it gives its trials back and exits with 75; a second SIGTERM ends it "
       "at "
       "once.",
       {"bazel run //student_trainer -- --coordinator=127.0.0.1:50050",
        "bazel run //student_trainer -- --coordinator=head:50050 --threads=4 "
        "--cache_dir=/var/tmp/kodistil"}});
  const WorkerOptions options = OptionsFromFlags();
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
  const absl::StatusOr<WorkerEnd> end = RunWorker(options, *stop);
  if (!end.ok()) return ExitCodeOf(end.status());
  return *end == WorkerEnd::kStopped ? kExitRetry : kExitOk;
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
