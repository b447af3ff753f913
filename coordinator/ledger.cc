#include "coordinator/ledger.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "coordinator/packing.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/write_batch.h"

namespace kodistil {
namespace {

using v1::Trial;

// Keys: "format" -> the version, "trial/" + id -> Trial.
constexpr char kFormatKey[] = "format";
constexpr char kFormatVersion[] = "1";
constexpr char kTrialPrefix[] = "trial/";

bool Ended(const Trial& trial) {
  return trial.state() == Trial::STATE_DONE ||
         trial.state() == Trial::STATE_FAILED ||
         trial.state() == Trial::STATE_CANCELLED;
}

void ClearProgress(Trial* trial) {
  trial->clear_worker_id();
  trial->clear_epoch();
  trial->clear_epoch_fraction();
  trial->clear_train_loss();
}

absl::Status CheckFormat(rocksdb::DB* db, const std::string& path) {
  std::string format;
  const rocksdb::Status status =
      db->Get(rocksdb::ReadOptions(), kFormatKey, &format);
  if (status.IsNotFound()) {
    rocksdb::WriteOptions write;
    write.sync = true;
    return FromRocksDbStatus(db->Put(write, kFormatKey, kFormatVersion));
  }
  KODISTIL_RETURN_IF_ERROR(FromRocksDbStatus(status));
  if (format != kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ledger ", path, " has format version ", format,
                     ", this program reads version ", kFormatVersion));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LedgerOptions::Validate() const {
  if (lease <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("the lease must be positive");
  }
  if (max_failures < 1 || max_lost < 1) {
    return absl::InvalidArgumentError("the attempt limits must be at least 1");
  }
  return absl::OkStatus();
}

Ledger::Ledger(LedgerOptions options, std::unique_ptr<rocksdb::DB> db)
    : options_(options), db_(std::move(db)) {}

Ledger::~Ledger() = default;

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(
    const std::string& path, const LedgerOptions& options, absl::Time now) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(path));
  rocksdb::Options rocks;
  rocks.create_if_missing = true;
  rocks.track_and_verify_wals_in_manifest = true;
  rocks.write_buffer_size = 8 << 20;
  // Its own log file ends the process when the disk is full.
  rocks.info_log = NewRocksDbLogger();
  rocksdb::DB* raw = nullptr;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(FromRocksDbStatus(rocksdb::DB::Open(rocks, path, &raw)),
               absl::StrCat("cannot open the ledger ", path)));
  std::unique_ptr<rocksdb::DB> db(raw);
  KODISTIL_RETURN_IF_ERROR(CheckFormat(db.get(), path));
  auto ledger = std::unique_ptr<Ledger>(new Ledger(options, std::move(db)));
  KODISTIL_RETURN_IF_ERROR(Annotate(ledger->Load(now), path));
  return ledger;
}

absl::Status Ledger::Load(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  for (it->Seek(kTrialPrefix);
       it->Valid() && it->key().starts_with(kTrialPrefix); it->Next()) {
    Trial trial;
    if (!trial.ParseFromArray(it->value().data(), it->value().size())) {
      return absl::DataLossError(
          absl::StrCat("the record ", it->key().ToString(), " is damaged"));
    }
    if (trial.state() == Trial::STATE_RUNNING) {
      lease_end_[trial.trial_id()] = now + options_.lease;
    }
    trials_[trial.trial_id()] = std::move(trial);
  }
  return FromRocksDbStatus(it->status());
}

absl::Status Ledger::Store(const Trial& trial) {
  KODISTIL_RETURN_IF_ERROR(broken_);
  queue_.emplace_back(absl::StrCat(kTrialPrefix, trial.trial_id()),
                      trial.SerializeAsString());
  ++queued_;
  const auto position = position_.find(trial.trial_id());
  if (position != position_.end()) {
    if (trial.state() == Trial::STATE_PENDING) {
      pending_.insert(position->second);
    } else {
      pending_.erase(position->second);
    }
  }
  ++version_;
  return absl::OkStatus();
}

absl::Status Ledger::MakeDurable() {
  const uint64_t wanted = queued_;
  while (durable_ < wanted && broken_.ok()) {
    if (writing_) {
      const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return !writing_;
      };
      mutex_.Await(absl::Condition(&idle));
      continue;
    }
    writing_ = true;
    const auto records = std::exchange(queue_, {});
    const uint64_t target = queued_;
    mutex_.Unlock();
    rocksdb::WriteBatch batch;
    rocksdb::Status status;
    for (const auto& [key, value] : records) {
      if (status.ok()) status = batch.Put(key, value);
    }
    rocksdb::WriteOptions write;
    write.sync = true;
    if (status.ok()) status = db_->Write(write, &batch);
    mutex_.Lock();
    writing_ = false;
    durable_ = target;
    if (!status.ok()) {
      broken_ = Annotate(FromRocksDbStatus(status), "cannot write the ledger");
    }
  }
  return broken_;
}

absl::StatusOr<Ledger::Submitted> Ledger::Submit(
    const std::vector<Trial>& trials) {
  absl::MutexLock lock(&mutex_);
  Submitted submitted;
  order_.clear();
  position_.clear();
  pending_.clear();
  pack_key_.clear();
  for (const Trial& wanted : trials) {
    position_[wanted.trial_id()] = order_.size();
    order_.push_back(wanted.trial_id());
    pack_key_.push_back(PackKey(wanted));
    const bool known = trials_.count(wanted.trial_id()) > 0;
    Trial& trial = trials_[wanted.trial_id()];
    if (!known) {
      trial = wanted;
      trial.set_state(Trial::STATE_PENDING);
      ++submitted.added;
    } else if (trial.state() == Trial::STATE_DONE) {
      ++submitted.done;
      continue;
    } else {
      *trial.mutable_inputs() = wanted.inputs();
      if (Ended(trial)) {
        trial.set_state(Trial::STATE_PENDING);
        trial.clear_failures();
        trial.clear_lost();
        ++submitted.retried;
      }
    }
    KODISTIL_RETURN_IF_ERROR(Store(trial));
  }
  ++version_;
  KODISTIL_RETURN_IF_ERROR(MakeDurable());
  return submitted;
}

std::vector<size_t> Ledger::ChoosePack(const LeaseLimits& limits) const {
  std::vector<size_t> chosen;
  if (pending_.empty()) return chosen;
  const size_t first = *pending_.begin();
  chosen.push_back(first);
  const auto lost = [this](size_t position)
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                          return trials_.at(order_[position]).lost() > 0;
                        };
  const size_t part = pending_.size() / std::max(1, limits.workers);
  const size_t most = std::min<size_t>(std::max(1, limits.most), part);
  if (pack_key_[first].empty() || lost(first)) return chosen;
  for (auto it = std::next(pending_.begin());
       it != pending_.end() && chosen.size() < most; ++it) {
    if (pack_key_[*it] == pack_key_[first] && !lost(*it)) chosen.push_back(*it);
  }
  return chosen;
}

absl::StatusOr<std::vector<Trial>> Ledger::Lease(const std::string& worker,
                                                 absl::Time now,
                                                 const LeaseLimits& limits) {
  absl::MutexLock lock(&mutex_);
  std::vector<Trial> leased;
  for (const size_t position : ChoosePack(limits)) {
    Trial& trial = trials_[order_[position]];
    Trial running = trial;
    running.set_state(Trial::STATE_RUNNING);
    running.set_attempts(trial.attempts() + 1);
    running.set_worker_id(worker);
    KODISTIL_RETURN_IF_ERROR(Store(running));
    trial = running;
    lease_end_[running.trial_id()] = now + options_.lease;
    leased.push_back(std::move(running));
  }
  if (!leased.empty()) KODISTIL_RETURN_IF_ERROR(MakeDurable());
  return leased;
}

absl::StatusOr<Trial*> Ledger::FindRunning(const std::string& id,
                                           uint32_t attempt) {
  const auto it = trials_.find(id);
  if (it == trials_.end()) {
    return absl::NotFoundError(absl::StrCat("no trial ", id));
  }
  Trial& trial = it->second;
  if (trial.state() != Trial::STATE_RUNNING || trial.attempts() != attempt) {
    return absl::AbortedError(absl::StrCat(
        "trial ", id.substr(0, 12), ": attempt ", attempt,
        " has lost its lease; the trial is ", Trial::State_Name(trial.state()),
        " at attempt ", trial.attempts()));
  }
  return &trial;
}

absl::Status Ledger::Heartbeat(const v1::HeartbeatRequest& request,
                               absl::Time now) {
  absl::MutexLock lock(&mutex_);
  KODISTIL_ASSIGN_OR_RETURN(Trial* const trial,
                            FindRunning(request.trial_id(), request.attempt()));
  lease_end_[request.trial_id()] = now + options_.lease;
  trial->set_epoch(request.epoch());
  trial->set_epoch_fraction(request.epoch_fraction());
  trial->set_train_loss(request.train_loss());
  // Who gets on is not stuck.
  if (request.finished_size() > 0) trial->clear_lost();
  for (const v1::EpochReport& report : request.finished()) {
    // After a resume epochs are reported again; the later report counts.
    while (trial->history_size() > 0 &&
           trial->history(trial->history_size() - 1).epoch() >=
               report.epoch()) {
      trial->mutable_history()->RemoveLast();
    }
    *trial->add_history() = report;
  }
  ++version_;
  return absl::OkStatus();
}

absl::Status Ledger::Complete(const v1::CompleteRequest& request) {
  absl::MutexLock lock(&mutex_);
  const auto it = trials_.find(request.trial_id());
  if (it != trials_.end() && it->second.state() == Trial::STATE_DONE &&
      it->second.attempts() == request.attempt()) {
    return MakeDurable();
  }
  KODISTIL_ASSIGN_OR_RETURN(Trial* const trial,
                            FindRunning(request.trial_id(), request.attempt()));
  Trial done = *trial;
  done.set_state(Trial::STATE_DONE);
  *done.mutable_result() = request.result();
  done.clear_reason();
  done.clear_history();
  ClearProgress(&done);
  KODISTIL_RETURN_IF_ERROR(Store(done));
  *trial = std::move(done);
  lease_end_.erase(request.trial_id());
  return MakeDurable();
}

absl::Status Ledger::EndAttempt(Trial* trial, bool lost, bool count,
                                bool retryable, const std::string& reason) {
  Trial ended = *trial;
  ended.set_reason(reason);
  ClearProgress(&ended);
  if (count && lost) ended.set_lost(ended.lost() + 1);
  if (count && !lost) ended.set_failures(ended.failures() + 1);
  const bool over =
      !retryable ||
      static_cast<int>(ended.failures()) >= options_.max_failures ||
      static_cast<int>(ended.lost()) >= options_.max_lost;
  ended.set_state(over ? Trial::STATE_FAILED : Trial::STATE_PENDING);
  KODISTIL_RETURN_IF_ERROR(Store(ended));
  lease_end_.erase(trial->trial_id());
  *trial = std::move(ended);
  return absl::OkStatus();
}

absl::Status Ledger::Fail(const v1::FailRequest& request) {
  absl::MutexLock lock(&mutex_);
  KODISTIL_ASSIGN_OR_RETURN(Trial* const trial,
                            FindRunning(request.trial_id(), request.attempt()));
  KODISTIL_RETURN_IF_ERROR(
      EndAttempt(trial, /*lost=*/false, /*count=*/!request.stopped(),
                 request.retryable() || request.stopped(), request.reason()));
  return MakeDurable();
}

void Ledger::RenewLeases(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  for (auto& [id, end] : lease_end_) end = now + options_.lease;
}

absl::StatusOr<std::vector<std::string>> Ledger::ExpireLeases(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> workers;
  std::vector<std::string> expired;
  for (const auto& [id, end] : lease_end_) {
    if (end <= now) expired.push_back(id);
  }
  for (const std::string& id : expired) {
    Trial& trial = trials_[id];
    workers.push_back(trial.worker_id());
    KODISTIL_RETURN_IF_ERROR(EndAttempt(
        &trial, /*lost=*/true, /*count=*/true, /*retryable=*/true,
        absl::StrCat("worker ", trial.worker_id(), " sent no heartbeat for ",
                     absl::FormatDuration(options_.lease))));
  }
  KODISTIL_RETURN_IF_ERROR(MakeDurable());
  return workers;
}

absl::Status Ledger::ReleaseWorker(const std::string& worker, bool count,
                                   const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  for (auto& [id, trial] : trials_) {
    if (trial.state() != Trial::STATE_RUNNING || trial.worker_id() != worker) {
      continue;
    }
    KODISTIL_RETURN_IF_ERROR(EndAttempt(&trial, /*lost=*/true, count,
                                        /*retryable=*/true, reason));
  }
  return MakeDurable();
}

absl::Status Ledger::Cancel(const std::string& trial_id) {
  KODISTIL_ASSIGN_OR_RETURN(const Trial found, Find(trial_id));
  absl::MutexLock lock(&mutex_);
  Trial& trial = trials_[found.trial_id()];
  if (Ended(trial)) return absl::OkStatus();
  Trial cancelled = trial;
  cancelled.set_state(Trial::STATE_CANCELLED);
  cancelled.set_reason("cancelled");
  ClearProgress(&cancelled);
  KODISTIL_RETURN_IF_ERROR(Store(cancelled));
  trial = std::move(cancelled);
  lease_end_.erase(found.trial_id());
  return MakeDurable();
}

std::vector<Trial> Ledger::Trials() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Trial> trials;
  trials.reserve(order_.size());
  for (const std::string& id : order_) trials.push_back(trials_.at(id));
  return trials;
}

absl::StatusOr<Trial> Ledger::Find(const std::string& id_or_prefix) const {
  absl::MutexLock lock(&mutex_);
  const auto it = trials_.lower_bound(id_or_prefix);
  if (id_or_prefix.empty() || it == trials_.end() ||
      !absl::StartsWith(it->first, id_or_prefix)) {
    return absl::NotFoundError(absl::StrCat("no trial ", id_or_prefix));
  }
  const auto next = std::next(it);
  if (next != trials_.end() && absl::StartsWith(next->first, id_or_prefix)) {
    return absl::InvalidArgumentError(
        absl::StrCat("trial prefix ", id_or_prefix,
                     " is not unique: ", it->first, ", ", next->first));
  }
  return it->second;
}

bool Ledger::IsDone(const std::string& trial_id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = trials_.find(trial_id);
  return it != trials_.end() && it->second.state() == Trial::STATE_DONE;
}

bool Ledger::Finished() const {
  absl::MutexLock lock(&mutex_);
  for (const std::string& id : order_) {
    if (!Ended(trials_.at(id))) return false;
  }
  return true;
}

uint64_t Ledger::version() const {
  absl::MutexLock lock(&mutex_);
  return version_;
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
