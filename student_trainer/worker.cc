#include "student_trainer/worker.h"

#include <glog/logging.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "artifacts/artifact_client.h"
#include "artifacts/artifact_store.h"
#include "base/files.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "student_trainer/coordinator_session.h"
#include "student_trainer/device.h"
#include "student_trainer/engine_factory.h"
#include "student_trainer/heartbeater.h"
#include "student_trainer/trial_runner.h"

namespace kodistil {
namespace {

constexpr absl::Duration kLongestWait = absl::Minutes(1);

std::string HostAndPid() {
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, "/", getpid());
}

// Whether another attempt may end better: not when configuration, data or the
// numbers themselves are at fault.
bool IsRetryable(const absl::Status& status) {
  return !absl::IsInvalidArgument(status) && !absl::IsOutOfRange(status) &&
         !absl::IsFailedPrecondition(status);
}

// Leases and runs trials, one at a time.
class Worker {
 public:
  Worker(const WorkerOptions& options, const absl::Notification& stop,
         CoordinatorSession* session, TrialRunner* runner)
      : options_(options), stop_(stop), session_(*session), runner_(*runner) {}

  absl::StatusOr<WorkerEnd> Run();

 private:
  absl::Status RunTrial(const v1::LeaseTrialResponse& lease);
  absl::Status Complete(const v1::LeaseTrialResponse& lease,
                        v1::TrialResult result);
  absl::Status Fail(const v1::LeaseTrialResponse& lease,
                    const absl::Status& why);
  void DropCheckpoint(const v1::LeaseTrialResponse& lease);

  const WorkerOptions& options_;
  const absl::Notification& stop_;
  CoordinatorSession& session_;
  TrialRunner& runner_;
};

absl::StatusOr<WorkerEnd> Worker::Run() {
  absl::Time idle_since = absl::Now();
  while (!stop_.HasBeenNotified()) {
    const absl::StatusOr<v1::LeaseTrialResponse> lease = session_.LeaseTrial();
    if (stop_.HasBeenNotified() && !lease.ok()) break;
    KODISTIL_RETURN_IF_ERROR(lease.status());
    if (lease->kind() == v1::LeaseTrialResponse::KIND_TRIAL) {
      const absl::Status done = RunTrial(*lease);
      if (stop_.HasBeenNotified()) break;
      KODISTIL_RETURN_IF_ERROR(done);
      idle_since = absl::Now();
      continue;
    }
    if (lease->kind() == v1::LeaseTrialResponse::KIND_FINISHED) {
      LOG(INFO) << "the sweep is over";
      return WorkerEnd::kFinished;
    }
    if (absl::Now() - idle_since >= options_.idle_exit) {
      LOG(INFO) << "nothing to do for " << options_.idle_exit;
      return WorkerEnd::kFinished;
    }
    stop_.WaitForNotificationWithTimeout(
        std::clamp(absl::Milliseconds(lease->retry_after_ms()),
                   absl::Milliseconds(10), kLongestWait));
  }
  return WorkerEnd::kStopped;
}

absl::Status Worker::RunTrial(const v1::LeaseTrialResponse& lease) {
  LOG(INFO) << "trial " << lease.trial_id() << " attempt " << lease.attempt()
            << " begins";
  Heartbeater heartbeater(&session_, lease.trial_id(), lease.attempt());
  const auto go_on = [&](const TrainProgress& progress) {
    heartbeater.Report(progress);
    return !stop_.HasBeenNotified() && heartbeater.status().ok();
  };
  absl::StatusOr<v1::TrialResult> result = runner_.Run(lease, go_on);
  if (result.ok()) return Complete(lease, *std::move(result));
  if (stop_.HasBeenNotified()) {
    return Fail(lease, absl::CancelledError("worker stopped"));
  }
  if (absl::IsAborted(heartbeater.status())) {
    LOG(WARNING) << "trial " << lease.trial_id() << " attempt "
                 << lease.attempt() << ": " << heartbeater.status().message();
    return absl::OkStatus();
  }
  KODISTIL_RETURN_IF_ERROR(heartbeater.status());
  return Fail(lease, result.status());
}

absl::Status Worker::Complete(const v1::LeaseTrialResponse& lease,
                              v1::TrialResult result) {
  v1::CompleteRequest request;
  request.set_trial_id(lease.trial_id());
  request.set_attempt(lease.attempt());
  LOG(INFO) << "trial " << lease.trial_id() << " attempt " << lease.attempt()
            << " is done: " << result.correct() << "/" << result.total();
  *request.mutable_result() = std::move(result);
  const absl::Status status = session_.Complete(std::move(request));
  if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    // Another attempt has taken over, perhaps with the same checkpoint.
    LOG(WARNING) << "trial " << lease.trial_id() << " attempt "
                 << lease.attempt() << " came too late: " << status.message();
    return absl::OkStatus();
  }
  if (absl::IsUnavailable(status) || absl::IsCancelled(status)) return status;
  if (!status.ok()) return Fail(lease, status);
  DropCheckpoint(lease);
  return absl::OkStatus();
}

void Worker::DropCheckpoint(const v1::LeaseTrialResponse& lease) {
  // Left over it takes some disk space and does no harm.
  const absl::Status status = runner_.DropCheckpoint(lease.trial_id());
  if (!status.ok()) LOG(WARNING) << status;
}

absl::Status Worker::Fail(const v1::LeaseTrialResponse& lease,
                          const absl::Status& why) {
  LOG(WARNING) << "trial " << lease.trial_id() << " attempt " << lease.attempt()
               << " failed: " << why;
  v1::FailRequest request;
  request.set_trial_id(lease.trial_id());
  request.set_attempt(lease.attempt());
  request.set_reason(std::string(why.message()));
  request.set_retryable(IsRetryable(why));
  request.set_stopped(absl::IsCancelled(why) && stop_.HasBeenNotified());
  if (!request.retryable()) {
    DropCheckpoint(lease);
  }
  const absl::Status status = session_.Fail(std::move(request));
  if (absl::IsUnavailable(status) || absl::IsCancelled(status)) return status;
  if (!status.ok()) LOG(WARNING) << "not reported: " << status;
  return absl::OkStatus();
}

}  // namespace

absl::Status WorkerOptions::Validate() const {
  if (coordinator.empty()) {
    return absl::InvalidArgumentError(
        "--coordinator is missing: the coordinator's host:port");
  }
  if (cache_dir.empty()) {
    return absl::InvalidArgumentError(
        "--cache_dir is missing, and neither XDG_CACHE_HOME nor HOME says "
        "where it may be");
  }
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads is ", threads, ", expected 1 to 1024"));
  }
  EngineOptions engine_options;
  engine_options.engine = engine;
  KODISTIL_RETURN_IF_ERROR(engine_options.Validate());
  if (coordinator_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--coordinator_timeout is ", absl::FormatDuration(coordinator_timeout),
        ", expected more than 0"));
  }
  return absl::OkStatus();
}

absl::StatusOr<WorkerEnd> RunWorker(const WorkerOptions& options,
                                    const absl::Notification& stop) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  TrialRunnerOptions runner_options;
  runner_options.cache_dir = options.cache_dir;
  runner_options.threads = options.threads;
  runner_options.build = options.build;
  runner_options.engine = options.engine;
  KODISTIL_ASSIGN_OR_RETURN(runner_options.device,
                            ResolveDevice(options.device));
  KODISTIL_ASSIGN_OR_RETURN(
      const ArtifactStore cache,
      ArtifactStore::Open(JoinPath(options.cache_dir, "artifacts")));

  SessionOptions session_options;
  session_options.worker = options.name.empty() ? HostAndPid() : options.name;
  session_options.build = options.build;
  session_options.unreachable_limit = options.coordinator_timeout;
  CoordinatorSession session(NewChannel(options.coordinator), session_options,
                             &stop);
  // Uploads have a connection of their own, so that heartbeats never wait.
  const ArtifactClient artifacts(NewChannel(options.coordinator), cache);
  TrialRunner runner(runner_options, &artifacts);
  LOG(INFO) << "worker " << session_options.worker << " on "
            << runner_options.device << ", engine " << runner_options.engine
            << ", " << options.threads << " threads, cache "
            << options.cache_dir;
  return Worker(options, stop, &session, &runner).Run();
}

std::string DefaultCacheDir() {
  const char* cache = getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') {
    return JoinPath(cache, "kodistil/worker");
  }
  const char* home = getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return JoinPath(home, ".cache/kodistil/worker");
}

}  // namespace kodistil
