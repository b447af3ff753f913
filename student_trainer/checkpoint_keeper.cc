#include "student_trainer/checkpoint_keeper.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace kodistil {

CheckpointKeeper::CheckpointKeeper(CheckpointKeeperOptions options)
    : options_(std::move(options)), thread_([this] { Loop(); }) {}

CheckpointKeeper::~CheckpointKeeper() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = changed_ = true;
  }
  thread_.join();
}

void CheckpointKeeper::Offer(const std::string& trial_id, uint32_t epoch,
                             MappedFile file) {
  const uint64_t most = options_.max_bytes();
  if (most == 0) return;
  absl::MutexLock lock(&mutex_);
  Entry& entry = trials_[trial_id];
  if (file.bytes().size() > most) {
    LOG_IF(WARNING, !entry.too_large)
        << "trial " << trial_id << ": its checkpoints of "
        << file.bytes().size()
        << " bytes stay on this machine; the coordinator keeps up to " << most;
    entry.too_large = true;
    return;
  }
  entry.file = std::move(file);
  entry.epoch = epoch;
  changed_ = true;
}

std::optional<v1::TrialCheckpoint> CheckpointKeeper::Newest(
    const std::string& trial_id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = trials_.find(trial_id);
  if (it == trials_.end()) return std::nullopt;
  return it->second.newest;
}

bool CheckpointKeeper::Flush(const std::string& trial_id,
                             absl::Duration limit) {
  absl::MutexLock lock(&mutex_);
  const auto it = trials_.find(trial_id);
  if (it == trials_.end()) return true;
  // What is offered later is not hurried by this.
  it->second.urgent = it->second.file.has_value();
  changed_ = true;
  const auto uploaded = [this,
                         &trial_id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto it = trials_.find(trial_id);
    return it == trials_.end() || !(it->second.file || it->second.sending);
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&uploaded), limit);
}

void CheckpointKeeper::Forget(const std::string& trial_id) {
  absl::MutexLock lock(&mutex_);
  trials_.erase(trial_id);
}

std::string CheckpointKeeper::Next(absl::Time* when) const {
  std::string next;
  *when = absl::InfiniteFuture();
  for (const auto& [trial_id, entry] : trials_) {
    if (!entry.file) continue;
    const absl::Time due =
        entry.urgent ? absl::InfinitePast() : entry.sent + options_.interval();
    if (!next.empty() && due >= *when) continue;
    *when = due;
    next = trial_id;
  }
  return next;
}

void CheckpointKeeper::Upload(const std::string& trial_id) {
  Entry& entry = trials_[trial_id];
  MappedFile file = *std::exchange(entry.file, std::nullopt);
  v1::TrialCheckpoint checkpoint;
  checkpoint.set_epoch(entry.epoch);
  checkpoint.set_bytes(file.bytes().size());
  entry.sending = true;
  mutex_.Unlock();
  absl::StatusOr<std::string> digest = options_.upload(file.bytes());
  mutex_.Lock();
  const auto it = trials_.find(trial_id);
  if (it == trials_.end()) return;  // forgotten meanwhile
  it->second.sending = false;
  it->second.urgent = false;
  it->second.sent = absl::Now();
  if (!digest.ok()) {
    LOG(WARNING) << "trial " << trial_id << ": the checkpoint of epoch "
                 << checkpoint.epoch()
                 << " stays on this machine for now: " << digest.status();
    // A coordinator that was away may be back before the next epoch's end.
    if (absl::IsUnavailable(digest.status()) && !it->second.file) {
      it->second.file = std::move(file);
      it->second.epoch = checkpoint.epoch();
    }
    return;
  }
  checkpoint.set_digest(*std::move(digest));
  it->second.newest = std::move(checkpoint);
}

void CheckpointKeeper::Loop() {
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    absl::Time due;
    const std::string next = Next(&due);
    if (!next.empty() && due <= absl::Now()) {
      Upload(next);
      continue;
    }
    changed_ = false;
    mutex_.AwaitWithDeadline(absl::Condition(&changed_), due);
  }
}

}  // namespace kodistil
