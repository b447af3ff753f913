// What may be asked of the ledger; nothing here changes a trial.

#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/ledger.h"

namespace kodistil {
namespace {

using v1::Trial;

// The copies are made without the ledger's lock.
std::vector<Trial> Copies(
    const std::vector<std::shared_ptr<const Trial>>& trials) {
  std::vector<Trial> copies;
  copies.reserve(trials.size());
  for (const auto& trial : trials) copies.push_back(*trial);
  return copies;
}

}  // namespace

std::vector<Trial> Ledger::Trials() const {
  std::vector<std::shared_ptr<const Trial>> trials;
  {
    absl::MutexLock lock(&mutex_);
    trials.reserve(order_.size());
    for (const Entry* entry : order_) trials.push_back(entry->trial);
  }
  return Copies(trials);
}

std::vector<Trial> Ledger::ChangedSince(uint64_t* version) const {
  std::vector<std::shared_ptr<const Trial>> trials;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = by_change_.upper_bound(*version); it != by_change_.end();
         ++it) {
      trials.push_back(it->second->trial);
    }
    *version = version_;
  }
  return Copies(trials);
}

Ledger::Counts Ledger::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

absl::StatusOr<Trial> Ledger::Find(const std::string& id_or_prefix) const {
  absl::MutexLock lock(&mutex_);
  const auto it = entries_.lower_bound(id_or_prefix);
  if (id_or_prefix.empty() || it == entries_.end() ||
      !absl::StartsWith(it->first, id_or_prefix)) {
    return absl::NotFoundError(absl::StrCat("no trial ", id_or_prefix));
  }
  const auto next = std::next(it);
  if (it->first != id_or_prefix && next != entries_.end() &&
      absl::StartsWith(next->first, id_or_prefix)) {
    return absl::InvalidArgumentError(
        absl::StrCat("trial prefix ", id_or_prefix,
                     " is not unique: ", it->first, ", ", next->first));
  }
  return *it->second.trial;
}

int Ledger::QueuePosition(const std::string& trial_id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = entries_.find(trial_id);
  if (it == entries_.end()) return -1;
  const auto place = pending_.find(it->second.position);
  if (place == pending_.end()) return -1;
  return static_cast<int>(std::distance(pending_.begin(), place));
}

absl::Time Ledger::LeaseEnd(const std::string& trial_id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = entries_.find(trial_id);
  if (it == entries_.end() ||
      it->second.trial->state() != Trial::STATE_RUNNING) {
    return absl::InfinitePast();
  }
  return it->second.lease_end;
}

absl::StatusOr<std::set<std::string>> Ledger::Checkpoints() const {
  std::set<std::string> digests;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, entry] : entries_) {
      if (entry.trial->has_checkpoint()) {
        digests.insert(entry.trial->checkpoint().digest());
      }
    }
  }
  // Before that the disk may know of an older one.
  KODISTIL_RETURN_IF_ERROR(log_->Sync());
  return digests;
}

bool Ledger::IsDone(const std::string& trial_id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = entries_.find(trial_id);
  return it != entries_.end() && it->second.trial->state() == Trial::STATE_DONE;
}

bool Ledger::Finished() const {
  absl::MutexLock lock(&mutex_);
  return FinishedLocked();
}

bool Ledger::WaitUntilFinished(absl::Duration limit) const {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(this, &Ledger::FinishedLocked),
                                 limit);
}

uint64_t Ledger::WaitForChange(uint64_t seen, absl::Duration limit) const {
  absl::MutexLock lock(&mutex_);
  const auto changed = [this, seen]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return version_ != seen;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&changed), limit);
  return version_;
}

}  // namespace kodistil
