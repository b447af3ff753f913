#include "student_trainer/heartbeater.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/time/time.h"
#include "base/log.h"

namespace kodistil {
namespace {

// Epochs of small trials end many times a second; nobody watches that closely.
constexpr absl::Duration kShortestInterval = absl::Seconds(1);

}  // namespace

Heartbeater::Heartbeater(CoordinatorSession* session,
                         const CheckpointKeeper* keeper,
                         const v1::LeasedTrial& trial)
    : session_(*session), keeper_(*keeper) {
  latest_.set_trial_id(trial.trial_id());
  latest_.set_attempt(trial.attempt());
  latest_.set_epoch(1);
  thread_ = std::thread([this] { Loop(); });
}

Heartbeater::~Heartbeater() {
  {
    absl::MutexLock lock(&mutex_);
    done_ = true;
  }
  thread_.join();
}

void Heartbeater::Report(const TrainProgress& progress) {
  absl::MutexLock lock(&mutex_);
  latest_.set_epoch(progress.epoch);
  latest_.set_epoch_fraction(progress.epoch_fraction);
  latest_.set_train_loss(progress.train_loss);
  if (progress.finished != nullptr) finished_.push_back(*progress.finished);
}

absl::Status Heartbeater::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void Heartbeater::Loop() {
  do {
    const absl::Duration interval = session_.heartbeat_interval();
    const absl::Duration pause = std::min(interval, kShortestInterval);
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&done_), pause)) return;
    mutex_.AwaitWithTimeout(absl::Condition(this, &Heartbeater::ShouldSend),
                            interval - pause);
    if (done_) return;
  } while (Send());
}

bool Heartbeater::Send() {
  v1::HeartbeatRequest request;
  {
    absl::MutexLock lock(&mutex_);
    request = latest_;
    for (const v1::EpochReport& epoch : finished_) {
      *request.add_finished() = epoch;
    }
  }
  const size_t sent = request.finished_size();
  const std::string trial_id = request.trial_id();
  if (const auto kept = keeper_.Newest(trial_id); kept.has_value()) {
    *request.mutable_checkpoint() = *kept;
  }
  const ScopedLogContext log({trial_id, request.attempt(), ""});
  const absl::StatusOr<bool> go_on = session_.Heartbeat(std::move(request));
  absl::MutexLock lock(&mutex_);
  if (go_on.ok() && *go_on) {
    finished_.erase(finished_.begin(), finished_.begin() + sent);
    return true;
  }
  if (go_on.ok() || absl::IsAborted(go_on.status()) ||
      absl::IsNotFound(go_on.status())) {
    status_ = absl::AbortedError(absl::StrCat(
        "the lease is lost: ",
        go_on.ok() ? "the coordinator wants nothing more of this attempt"
                   : go_on.status().message()));
    return false;
  }
  if (absl::IsUnavailable(go_on.status()) ||
      absl::IsCancelled(go_on.status())) {
    status_ = go_on.status();
    return false;
  }
  LOG(WARNING) << "heartbeat of trial " << trial_id << ": " << go_on.status();
  return true;
}

}  // namespace kodistil
