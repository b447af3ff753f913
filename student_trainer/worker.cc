#include "student_trainer/worker.h"

#include <glog/logging.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "artifacts/artifact_client.h"
#include "artifacts/artifact_store.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/log.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "corpus/utf8.h"
#include "student_trainer/checkpoint_keeper.h"
#include "student_trainer/coordinator_session.h"
#include "student_trainer/device.h"
#include "student_trainer/heartbeater.h"
#include "student_trainer/recent_log.h"
#include "student_trainer/trainer_metrics.h"
#include "student_trainer/trial_runner.h"
#include "student_trainer/watchdog.h"

namespace kodistil {
namespace {

constexpr size_t kReasonBytes = 4000;
constexpr absl::Duration kLongestWait = absl::Minutes(1);
// Between two uploads of a trial's checkpoint, at most.
constexpr absl::Duration kUploadInterval = absl::Seconds(1);
// How long a trial that is given back waits for its last checkpoint.
constexpr absl::Duration kFlushLimit = absl::Seconds(5);

std::string HostAndPid() {
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, "/", getpid());
}

// Blocks from 1 MB on are given back to the system when they are freed, rather
// than kept as holes of the heap: 25 MB less at the peak of an NSMC trial.
void KeepLargeBlocksApart() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

// Of this process so far, pages that it shares with others included; 0 where
// the system does not say. (getrusage would count the parent's before exec.)
int64_t PeakResidentMegabytes() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    int64_t kilobytes = 0;
    if (key == "VmHWM:" && status >> kilobytes) return kilobytes / 1024;
  }
  return 0;
}

// Whether another attempt may end better: not when configuration, data or the
// numbers themselves are at fault.
bool IsRetryable(const absl::Status& status) {
  return !absl::IsInvalidArgument(status) && !absl::IsOutOfRange(status) &&
         !absl::IsFailedPrecondition(status);
}

std::string NameOf(const v1::LeasedTrial& trial) {
  return absl::StrCat("trial ", trial.trial_id(), " attempt ", trial.attempt());
}

LogContext ContextOf(const v1::LeasedTrial& trial) {
  return {trial.trial_id(), trial.attempt(), ""};
}

void CountEnd(absl::string_view outcome) {
  TrainerMetrics::Process().trials.With({outcome}).Increment();
}

// The trials of a lease, the first one included.
std::vector<v1::LeasedTrial> TrialsOf(const v1::LeaseTrialResponse& lease) {
  std::vector<v1::LeasedTrial> trials(1);
  trials[0].set_trial_id(lease.trial_id());
  trials[0].set_attempt(lease.attempt());
  *trials[0].mutable_config() = lease.config();
  *trials[0].mutable_inputs() = lease.inputs();
  if (lease.has_checkpoint()) {
    *trials[0].mutable_checkpoint() = lease.checkpoint();
  }
  trials.insert(trials.end(), lease.further().begin(), lease.further().end());
  return trials;
}

// The thread that hangs cannot be ended, and its heartbeats would go on.
void EndOfHungWorker(absl::Duration silent) {
  LOG(ERROR) << "no step of the training for " << silent
             << ": the worker ends, so that another takes its trials over";
  google::FlushLogFiles(google::GLOG_INFO);
  std::_Exit(kExitRetry);
}

CheckpointKeeperOptions KeeperOptions(const ArtifactClient* artifacts,
                                      const CoordinatorSession* session) {
  CheckpointKeeperOptions options;
  options.upload = [artifacts](absl::string_view content) {
    return artifacts->PutCheckpoint(content);
  };
  options.max_bytes = [session] { return session->max_checkpoint_bytes(); };
  options.interval = [session] {
    return std::min(kUploadInterval, session->heartbeat_interval());
  };
  return options;
}

// Leases and runs trials.
class Worker {
 public:
  struct Parts {
    CoordinatorSession& session;
    TrialRunner& runner;
    CheckpointKeeper& keeper;
    const RecentLog& log;
  };

  // `most`: trials of one lease.
  Worker(const WorkerOptions& options, int most, const absl::Notification& stop,
         const Parts& parts)
      : options_(options),
        most_(most),
        stop_(stop),
        session_(parts.session),
        runner_(parts.runner),
        keeper_(parts.keeper),
        log_(parts.log) {}

  absl::StatusOr<WorkerEnd> Run();

 private:
  // The status is the session's: not OK when the worker cannot go on.
  absl::Status RunTrials(const v1::LeaseTrialResponse& lease);
  absl::Status End(const v1::LeasedTrial& trial, const Heartbeater& heartbeater,
                   absl::StatusOr<v1::TrialResult> result);
  absl::Status Complete(const v1::LeasedTrial& trial, v1::TrialResult result);
  absl::Status Fail(const v1::LeasedTrial& trial, const absl::Status& why);
  void DropCheckpoint(const v1::LeasedTrial& trial);
  // What the trial's progress does besides telling whether to go on.
  void Note(const v1::LeasedTrial& trial, const TrainProgress& progress,
            Heartbeater* heartbeater);

  const WorkerOptions& options_;
  const int most_;
  const absl::Notification& stop_;
  CoordinatorSession& session_;
  TrialRunner& runner_;
  CheckpointKeeper& keeper_;
  const RecentLog& log_;
};

absl::StatusOr<WorkerEnd> Worker::Run() {
  absl::Time idle_since = absl::Now();
  while (!stop_.HasBeenNotified()) {
    const absl::StatusOr<v1::LeaseTrialResponse> lease =
        session_.LeaseTrial(most_);
    if (stop_.HasBeenNotified() && !lease.ok()) break;
    KODISTIL_RETURN_IF_ERROR(lease.status());
    if (lease->kind() == v1::LeaseTrialResponse::KIND_TRIAL) {
      const absl::Status done = RunTrials(*lease);
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

absl::Status Worker::RunTrials(const v1::LeaseTrialResponse& lease) {
  std::vector<TrialTask> tasks;
  std::vector<std::unique_ptr<Heartbeater>> heartbeaters;
  std::atomic<bool> cut_off{false};
  for (const v1::LeasedTrial& trial : TrialsOf(lease)) {
    const ScopedLogContext context(ContextOf(trial));
    LOG(INFO) << NameOf(trial) << " begins";
    TrainerMetrics::Process().running.Add(1);
    heartbeaters.push_back(
        std::make_unique<Heartbeater>(&session_, &keeper_, trial));
    Heartbeater* heartbeater = heartbeaters.back().get();
    tasks.push_back({trial, [&, heartbeater, trial](const auto& progress) {
                       Note(trial, progress, heartbeater);
                       return !stop_.HasBeenNotified() && !cut_off &&
                              heartbeater->status().ok();
                     }});
  }
  absl::Status status;
  runner_.Run(tasks, [&](size_t i, absl::StatusOr<v1::TrialResult> result) {
    // Once the coordinator is gone for good nobody else need wait for it.
    TrainerMetrics::Process().running.Add(-1);
    const ScopedLogContext context(ContextOf(tasks[i].trial));
    if (!cut_off) status = End(tasks[i].trial, *heartbeaters[i], result);
    if (!status.ok()) cut_off = true;
    heartbeaters[i] = nullptr;
    keeper_.Forget(tasks[i].trial.trial_id());
  });
  return status;
}

void Worker::Note(const v1::LeasedTrial& trial, const TrainProgress& progress,
                  Heartbeater* heartbeater) {
  heartbeater->Report(progress);
  if (options_.on_progress) options_.on_progress(trial, progress);
  if (progress.finished == nullptr) return;
  const uint32_t epoch = progress.finished->epoch();
  // After the last epoch it is over before anybody could go on.
  if (epoch >= trial.config().train_epoch()) return;
  absl::StatusOr<MappedFile> file = runner_.OpenCheckpoint(trial.trial_id());
  if (file.ok()) {
    keeper_.Offer(trial.trial_id(), epoch, *std::move(file));
  } else {
    LOG(WARNING) << NameOf(trial) << ": " << file.status();
  }
}

absl::Status Worker::End(const v1::LeasedTrial& trial,
                         const Heartbeater& heartbeater,
                         absl::StatusOr<v1::TrialResult> result) {
  if (result.ok()) return Complete(trial, *std::move(result));
  if (stop_.HasBeenNotified()) {
    return Fail(trial, absl::CancelledError("worker stopped"));
  }
  const absl::Status lease = heartbeater.status();
  if (absl::IsAborted(lease)) {
    CountEnd("lost");
    LOG(WARNING) << NameOf(trial) << ": " << lease.message();
    return absl::OkStatus();
  }
  KODISTIL_RETURN_IF_ERROR(lease);
  return Fail(trial, result.status());
}

absl::Status Worker::Complete(const v1::LeasedTrial& trial,
                              v1::TrialResult result) {
  v1::CompleteRequest request;
  request.set_trial_id(trial.trial_id());
  request.set_attempt(trial.attempt());
  LOG(INFO) << NameOf(trial) << " is done: " << result.correct() << "/"
            << result.total() << ", peak resident " << PeakResidentMegabytes()
            << " MB";
  *request.mutable_result() = std::move(result);
  const absl::Status status = session_.Complete(std::move(request));
  if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    // Another attempt has taken over, perhaps with the same checkpoint.
    CountEnd("lost");
    LOG(WARNING) << NameOf(trial) << " came too late: " << status.message();
    return absl::OkStatus();
  }
  if (absl::IsUnavailable(status) || absl::IsCancelled(status)) return status;
  if (!status.ok()) return Fail(trial, status);
  CountEnd("done");
  DropCheckpoint(trial);
  return absl::OkStatus();
}

void Worker::DropCheckpoint(const v1::LeasedTrial& trial) {
  // Left over it takes some disk space and does no harm.
  const absl::Status status = runner_.DropCheckpoint(trial.trial_id());
  if (!status.ok()) LOG(WARNING) << status;
}

absl::Status Worker::Fail(const v1::LeasedTrial& trial,
                          const absl::Status& why) {
  LOG(WARNING) << NameOf(trial) << " failed: " << why;
  const bool stopped = absl::IsCancelled(why) && stop_.HasBeenNotified();
  CountEnd(stopped ? "stopped" : "failed");
  v1::FailRequest request;
  request.set_trial_id(trial.trial_id());
  request.set_attempt(trial.attempt());
  request.set_reason(Utf8Tail(why.message(), kReasonBytes));
  request.set_log_tail(log_.Text());
  request.set_retryable(IsRetryable(why));
  request.set_stopped(stopped);
  if (request.retryable() && !keeper_.Flush(trial.trial_id(), kFlushLimit)) {
    LOG(WARNING) << NameOf(trial)
                 << ": its last checkpoint is still on its way";
  }
  if (const auto kept = keeper_.Newest(trial.trial_id()); kept.has_value()) {
    *request.mutable_checkpoint() = *kept;
  }
  if (!request.retryable()) {
    DropCheckpoint(trial);
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
  if (pack < 0 || pack > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("--pack is ", pack, ", expected 0 to 1024"));
  }
  if (coordinator_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--coordinator_timeout is ", absl::FormatDuration(coordinator_timeout),
        ", expected more than 0"));
  }
  if (hang_timeout < absl::Milliseconds(10)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--hang_timeout is ", absl::FormatDuration(hang_timeout),
                     ", expected at least 10ms, or inf"));
  }
  return absl::OkStatus();
}

absl::StatusOr<WorkerEnd> RunWorker(const WorkerOptions& options,
                                    const absl::Notification& stop) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_RETURN_IF_ERROR(CheckClientAccess(options.access));
  const RecentLog log;
  KeepLargeBlocksApart();
  TrialRunnerOptions runner_options;
  runner_options.cache_dir = options.cache_dir;
  runner_options.threads = options.threads;
  runner_options.build = options.build;
  runner_options.access = options.access;
  KODISTIL_ASSIGN_OR_RETURN(runner_options.device,
                            ResolveDevice(options.device));
  KODISTIL_ASSIGN_OR_RETURN(
      const ArtifactStore cache,
      ArtifactStore::Open(JoinPath(options.cache_dir, "artifacts")));

  SessionOptions session_options;
  session_options.worker = options.name.empty() ? HostAndPid() : options.name;
  session_options.build = options.build;
  session_options.unreachable_limit = options.coordinator_timeout;
  CoordinatorSession session(NewChannel(options.coordinator, options.access),
                             session_options, &stop);
  // Uploads have a connection of their own, so that heartbeats never wait.
  const auto uploads = NewChannel(options.coordinator, options.access);
  // As patient as the session: a student that is trained waits for a
  // coordinator that is away, and is not reported as failed.
  ArtifactClientOptions patient;
  patient.retry_limit = options.coordinator_timeout;
  patient.stop = &stop;
  const ArtifactClient artifacts(uploads, cache, patient);
  Watchdog watchdog(options.hang_timeout, EndOfHungWorker);
  runner_options.watchdog = &watchdog;
  TrialRunner runner(runner_options, &artifacts);
  ArtifactClientOptions impatient;
  impatient.call_timeout = absl::Minutes(1);
  impatient.retry_limit = absl::Seconds(5);
  const ArtifactClient checkpoints(uploads, cache, impatient);
  CheckpointKeeper keeper(KeeperOptions(&checkpoints, &session));
  const int chosen = runner_options.device == "cpu" ? options.threads : 1;
  const int most = options.pack > 0 ? options.pack : chosen;
  LOG(INFO) << "worker " << session_options.worker << " on "
            << runner_options.device << ", " << options.threads
            << " threads, up to " << most << " trials at once, cache "
            << options.cache_dir;
  return Worker(options, most, stop, {session, runner, keeper, log}).Run();
}

int WorkerExitCode(const absl::StatusOr<WorkerEnd>& end) {
  if (end.ok()) return *end == WorkerEnd::kStopped ? kExitRetry : kExitOk;
  const int code = ExitCodeOf(end.status());
  switch (end.status().code()) {
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
      return kExitConfiguration;
    default:
      return code;
  }
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
