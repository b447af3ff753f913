#include "coordinator/ledger.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/format_version.h"
#include "base/status_macros.h"
#include "coordinator/packing.h"
#include "coordinator/sweep_metrics.h"

namespace kodistil {
namespace {

using v1::Trial;
using v1::TrialAttempt;

// Keys: "format" -> the version, "starts" -> how often work began, in decimal,
// "trial/" + id -> Trial. Version 1 had no starts.
constexpr char kFormatKey[] = "format";
constexpr uint64_t kFormatVersion = 2;
constexpr uint64_t kOldestFormatVersion = 1;
constexpr char kStartsKey[] = "starts";
constexpr char kTrialPrefix[] = "trial/";

bool Ended(const Trial& trial) {
  return trial.state() == Trial::STATE_DONE ||
         trial.state() == Trial::STATE_FAILED ||
         trial.state() == Trial::STATE_CANCELLED;
}

// What only a running attempt has.
void ClearProgress(Trial* trial) {
  trial->clear_worker_id();
  trial->clear_epoch();
  trial->clear_epoch_fraction();
  trial->clear_train_loss();
  if (Ended(*trial)) trial->clear_checkpoint();
}

absl::Status CheckFormat(const LedgerLog& log, const std::string& path) {
  const absl::StatusOr<std::string> format = log.Get(kFormatKey);
  if (absl::IsNotFound(format.status())) return absl::OkStatus();
  KODISTIL_RETURN_IF_ERROR(format.status());
  uint64_t version = 0;
  if (!absl::SimpleAtoi(*format, &version)) {
    return absl::DataLossError(absl::StrCat(path, ": the ledger's version is '",
                                            absl::CHexEscape(*format),
                                            "', expected a number"));
  }
  return CheckFormatVersion(
      {"ledger", kOldestFormatVersion, kFormatVersion, ""}, path, version);
}

absl::StatusOr<uint32_t> ReadStarts(const LedgerLog& log) {
  const absl::StatusOr<std::string> text = log.Get(kStartsKey);
  if (absl::IsNotFound(text.status())) return 0;
  KODISTIL_RETURN_IF_ERROR(text.status());
  uint32_t starts = 0;
  if (absl::SimpleAtoi(*text, &starts)) return starts;
  return absl::DataLossError(absl::StrCat("the record ", kStartsKey, " is '",
                                          *text, "', expected a number"));
}

// Whether the last attempt was this one and was given back: the call is a
// repetition.
bool GaveBack(const Trial& trial, uint32_t attempt) {
  if (trial.attempt_history_size() == 0) return false;
  const TrialAttempt& last =
      trial.attempt_history(trial.attempt_history_size() - 1);
  return last.number() == attempt &&
         (last.outcome() == TrialAttempt::OUTCOME_FAILED ||
          last.outcome() == TrialAttempt::OUTCOME_STOPPED);
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

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(
    const std::string& path, const LedgerOptions& options, absl::Time now) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(std::unique_ptr<LedgerLog> log,
                            LedgerLog::Open(path, options.env));
  KODISTIL_RETURN_IF_ERROR(CheckFormat(*log, path));
  auto ledger = std::unique_ptr<Ledger>(new Ledger(options, std::move(log)));
  KODISTIL_RETURN_IF_ERROR(Annotate(ledger->Load(now), path));
  return ledger;
}

absl::Status Ledger::Load(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  return log_->Read(kTrialPrefix, [&](absl::string_view key,
                                      absl::string_view value) {
    mutex_.AssertHeld();
    Trial trial;
    if (!trial.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      return absl::DataLossError(
          absl::StrCat("the record ", key, " is damaged"));
    }
    // Version 1 counted by the attempts' numbers.
    if (trial.start() == 0) trial.set_leases(trial.attempts());
    Entry& entry = entries_[trial.trial_id()];
    entry.lease_end = now + options_.lease;
    Set(&entry, std::move(trial));
    return absl::OkStatus();
  });
}

int* Ledger::CountOf(Trial::State state) {
  switch (state) {
    case Trial::STATE_RUNNING:
      return &counts_.running;
    case Trial::STATE_DONE:
      return &counts_.done;
    case Trial::STATE_FAILED:
      return &counts_.failed;
    case Trial::STATE_CANCELLED:
      return &counts_.cancelled;
    default:
      return &counts_.pending;
  }
}

void Ledger::Set(Entry* entry, Trial trial) {
  const bool running = trial.state() == Trial::STATE_RUNNING;
  if (running) {
    running_.insert(entry);
  } else {
    running_.erase(entry);
  }
  ++version_;
  if (entry->position >= 0) {
    if (entry->trial != nullptr) --*CountOf(entry->trial->state());
    ++*CountOf(trial.state());
    if (trial.state() == Trial::STATE_PENDING) {
      pending_.insert(entry->position);
    } else {
      pending_.erase(entry->position);
    }
    by_change_.erase(entry->changed);
    by_change_[version_] = entry;
  }
  entry->changed = version_;
  entry->trial = std::make_shared<const Trial>(std::move(trial));
}

absl::Status Ledger::Store(Entry* entry, Trial trial) {
  KODISTIL_RETURN_IF_ERROR(log_->Put(
      absl::StrCat(kTrialPrefix, trial.trial_id()), trial.SerializeAsString()));
  Set(entry, std::move(trial));
  return absl::OkStatus();
}

absl::Status Ledger::BeginStart() {
  if (start_ > 0) return absl::OkStatus();
  KODISTIL_ASSIGN_OR_RETURN(const uint32_t starts, ReadStarts(*log_));
  KODISTIL_RETURN_IF_ERROR(log_->Put(kFormatKey, absl::StrCat(kFormatVersion)));
  KODISTIL_RETURN_IF_ERROR(log_->Put(kStartsKey, absl::StrCat(starts + 1)));
  start_ = starts + 1;
  return absl::OkStatus();
}

absl::Status Ledger::SubmitTrial(const Trial& wanted, Submitted* submitted) {
  Entry& entry = entries_[wanted.trial_id()];
  if (entry.position >= 0) return absl::OkStatus();  // given twice
  entry.position = static_cast<int>(order_.size());
  order_.push_back(&entry);
  ++counts_.total;
  entry.pack_key = PackKey(wanted);
  if (entry.trial == nullptr) {
    Trial trial = wanted;
    trial.set_state(Trial::STATE_PENDING);
    trial.set_start(start_);
    ++submitted->added;
    return Store(&entry, std::move(trial));
  }
  Trial trial = *entry.trial;
  // It enters the counts, from which Set takes what it was before.
  ++*CountOf(trial.state());
  if (trial.state() == Trial::STATE_DONE) {
    ++submitted->done;
    Set(&entry, std::move(trial));
    return absl::OkStatus();
  }
  *trial.mutable_inputs() = wanted.inputs();
  if (Ended(trial)) {
    trial.set_state(Trial::STATE_PENDING);
    trial.clear_failures();
    trial.clear_lost();
    ++submitted->retried;
  }
  return Store(&entry, std::move(trial));
}

absl::StatusOr<Ledger::Submitted> Ledger::Submit(
    const std::vector<Trial>& trials) {
  Submitted submitted;
  {
    absl::MutexLock lock(&mutex_);
    KODISTIL_RETURN_IF_ERROR(BeginStart());
    for (Entry* const entry : order_) entry->position = -1;
    order_.clear();
    pending_.clear();
    by_change_.clear();
    counts_ = {};
    for (const Trial& wanted : trials) {
      KODISTIL_RETURN_IF_ERROR(SubmitTrial(wanted, &submitted));
    }
    ++version_;
  }
  KODISTIL_RETURN_IF_ERROR(log_->Sync());
  return submitted;
}

std::vector<Ledger::Entry*> Ledger::ChoosePack(
    const LeaseLimits& limits) const {
  std::vector<Entry*> chosen;
  if (pending_.empty()) return chosen;
  Entry* const first = order_[*pending_.begin()];
  chosen.push_back(first);
  if (first->pack_key.empty() || first->trial->lost() > 0) return chosen;
  const size_t part = pending_.size() / std::max(1, limits.workers);
  const size_t most = std::min<size_t>(std::max(1, limits.most), part);
  for (auto it = std::next(pending_.begin());
       it != pending_.end() && chosen.size() < most; ++it) {
    Entry* const entry = order_[*it];
    if (entry->pack_key == first->pack_key && entry->trial->lost() == 0) {
      chosen.push_back(entry);
    }
  }
  return chosen;
}

Trial Ledger::NextAttempt(const Entry& entry, const std::string& worker,
                          absl::Time now) const {
  Trial trial = *entry.trial;
  // Each start since `attempts` was given may have given one number more that
  // the disk has forgotten.
  trial.set_attempts(trial.attempts() + (start_ - trial.start()) + 1);
  trial.set_start(start_);
  trial.set_leases(trial.leases() + 1);
  trial.set_state(Trial::STATE_RUNNING);
  trial.set_worker_id(worker);
  BeginAttempt(now, &trial);
  return trial;
}

absl::StatusOr<std::vector<Trial>> Ledger::Lease(const std::string& worker,
                                                 absl::Time now,
                                                 const LeaseLimits& limits) {
  std::vector<Trial> leased;
  bool again = false;
  {
    absl::MutexLock lock(&mutex_);
    for (Entry* const entry : ChoosePack(limits)) {
      leased.push_back(NextAttempt(*entry, worker, now));
      again = again || entry->leased;
      entry->leased = true;
      entry->lease_end = now + options_.lease;
      KODISTIL_RETURN_IF_ERROR(Store(entry, leased.back()));
    }
  }
  // The disk may not know of a trial's first lease, but of each further one.
  if (again) KODISTIL_RETURN_IF_ERROR(log_->Sync());
  return leased;
}

absl::StatusOr<Ledger::Entry*> Ledger::FindRunning(const std::string& id,
                                                   uint32_t attempt) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) {
    return absl::NotFoundError(absl::StrCat("no trial ", id));
  }
  const Trial& trial = *it->second.trial;
  if (trial.state() != Trial::STATE_RUNNING || trial.attempts() != attempt) {
    return absl::AbortedError(absl::StrCat(
        "trial ", id.substr(0, 12), ": attempt ", attempt,
        " has lost its lease; the trial is ", Trial::State_Name(trial.state()),
        " at attempt ", trial.attempts()));
  }
  return &it->second;
}

absl::Status Ledger::Heartbeat(const v1::HeartbeatRequest& request,
                               absl::Time now) {
  absl::MutexLock lock(&mutex_);
  KODISTIL_ASSIGN_OR_RETURN(Entry* const entry,
                            FindRunning(request.trial_id(), request.attempt()));
  entry->lease_end = now + options_.lease;
  Trial trial = *entry->trial;
  trial.set_epoch(request.epoch());
  trial.set_epoch_fraction(request.epoch_fraction());
  trial.set_train_loss(request.train_loss());
  for (const v1::EpochReport& report : request.finished()) {
    // Who comes further than anyone before is not stuck.
    if (NoteEpoch(report.epoch(), &trial)) trial.clear_lost();
    // After a resume epochs are reported again; the later report counts.
    while (trial.history_size() > 0 &&
           trial.history(trial.history_size() - 1).epoch() >= report.epoch()) {
      trial.mutable_history()->RemoveLast();
    }
    *trial.add_history() = report;
  }
  if (!request.has_checkpoint() ||
      request.checkpoint().digest() == trial.checkpoint().digest()) {
    Set(entry, std::move(trial));
    return absl::OkStatus();
  }
  *trial.mutable_checkpoint() = request.checkpoint();
  return Store(entry, std::move(trial));
}

absl::Status Ledger::Commit(const v1::CompleteRequest& request,
                            absl::Time now) {
  absl::MutexLock lock(&mutex_);
  const auto it = entries_.find(request.trial_id());
  if (it != entries_.end() && it->second.trial->state() == Trial::STATE_DONE &&
      it->second.trial->attempts() == request.attempt()) {
    return absl::OkStatus();
  }
  KODISTIL_ASSIGN_OR_RETURN(Entry* const entry,
                            FindRunning(request.trial_id(), request.attempt()));
  Trial done = *entry->trial;
  done.set_state(Trial::STATE_DONE);
  *done.mutable_result() = request.result();
  done.clear_reason();
  done.clear_history();
  EndAttempt({TrialAttempt::OUTCOME_DONE, now, "", ""}, &done);
  ClearProgress(&done);
  return Store(entry, std::move(done));
}

absl::Status Ledger::Complete(const v1::CompleteRequest& request,
                              absl::Time now) {
  KODISTIL_RETURN_IF_ERROR(Commit(request, now));
  return log_->Sync();
}

void Ledger::Complete(const v1::CompleteRequest& request, absl::Time now,
                      LedgerLog::Done done) {
  const absl::Status status = Commit(request, now);
  if (!status.ok()) return done(status);
  log_->Sync(std::move(done));
}

absl::Status Ledger::EndRunning(Entry* entry, const HowItEnded& how,
                                Trial trial) {
  const bool lost = how.end.outcome == TrialAttempt::OUTCOME_LOST;
  EndAttempt(how.end, &trial);
  if (how.count && lost) trial.set_lost(trial.lost() + 1);
  if (how.count && !lost) trial.set_failures(trial.failures() + 1);
  const int failures = static_cast<int>(trial.failures());
  const int losses = static_cast<int>(trial.lost());
  trial.set_state(Trial::STATE_FAILED);
  trial.set_reason(how.end.reason);
  if (!how.retryable) {
    // The reason says it all.
  } else if (failures >= options_.max_failures) {
    trial.set_reason(
        absl::StrCat("gave up after ", failures,
                     " failed attempts; the last: ", how.end.reason));
  } else if (losses >= options_.max_lost) {
    trial.set_reason(absl::StrCat("gave up after ", losses,
                                  " lost workers; the last: ", how.end.reason));
  } else {
    trial.set_state(Trial::STATE_PENDING);
  }
  ClearProgress(&trial);
  return Store(entry, std::move(trial));
}

absl::Status Ledger::GiveBack(const v1::FailRequest& request, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  const auto it = entries_.find(request.trial_id());
  if (it != entries_.end() && GaveBack(*it->second.trial, request.attempt())) {
    return absl::OkStatus();
  }
  KODISTIL_ASSIGN_OR_RETURN(Entry* const entry,
                            FindRunning(request.trial_id(), request.attempt()));
  Trial trial = *entry->trial;
  if (request.has_checkpoint()) {
    *trial.mutable_checkpoint() = request.checkpoint();
  }
  HowItEnded how;
  how.count = !request.stopped();
  how.retryable = request.retryable() || request.stopped();
  how.end.outcome = request.stopped() ? TrialAttempt::OUTCOME_STOPPED
                                      : TrialAttempt::OUTCOME_FAILED;
  how.end.time = now;
  how.end.reason =
      absl::StrCat("worker ", trial.worker_id(), ": ", request.reason());
  how.end.log_tail = request.log_tail();
  return EndRunning(entry, how, std::move(trial));
}

absl::Status Ledger::Fail(const v1::FailRequest& request, absl::Time now) {
  KODISTIL_RETURN_IF_ERROR(GiveBack(request, now));
  return log_->Sync();
}

void Ledger::Fail(const v1::FailRequest& request, absl::Time now,
                  LedgerLog::Done done) {
  const absl::Status status = GiveBack(request, now);
  if (!status.ok()) return done(status);
  log_->Sync(std::move(done));
}

void Ledger::RenewLeases(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  for (Entry* const entry : running_) entry->lease_end = now + options_.lease;
}

absl::StatusOr<std::vector<std::string>> Ledger::ExpireLeases(
    absl::Time now, const LogTailOf& log_tail) {
  std::vector<std::string> workers;
  {
    absl::MutexLock lock(&mutex_);
    const std::set<Entry*> running = running_;
    for (Entry* const entry : running) {
      if (entry->lease_end > now) continue;
      workers.push_back(entry->trial->worker_id());
      SweepMetrics::Process().leases_expired.Increment();
      HowItEnded how;
      how.end.outcome = TrialAttempt::OUTCOME_LOST;
      how.end.time = now;
      how.end.reason =
          absl::StrCat("worker ", workers.back(), " sent no heartbeat for ",
                       absl::FormatDuration(options_.lease));
      if (log_tail) how.end.log_tail = log_tail(workers.back());
      KODISTIL_RETURN_IF_ERROR(EndRunning(entry, how, *entry->trial));
    }
  }
  if (!workers.empty()) KODISTIL_RETURN_IF_ERROR(log_->Sync());
  KODISTIL_RETURN_IF_ERROR(log_->status());
  return workers;
}

absl::Status Ledger::ReleaseWorker(const std::string& worker,
                                   const Loss& loss) {
  {
    absl::MutexLock lock(&mutex_);
    const std::set<Entry*> running = running_;
    for (Entry* const entry : running) {
      if (entry->trial->worker_id() != worker) continue;
      HowItEnded how;
      how.count = loss.count;
      how.end = {loss.count ? TrialAttempt::OUTCOME_LOST
                            : TrialAttempt::OUTCOME_STOPPED,
                 loss.time, loss.reason, loss.log_tail};
      KODISTIL_RETURN_IF_ERROR(EndRunning(entry, how, *entry->trial));
    }
  }
  return log_->Sync();
}

absl::Status Ledger::Cancel(const std::string& trial_id, absl::Time now) {
  KODISTIL_ASSIGN_OR_RETURN(const Trial found, Find(trial_id));
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry = entries_.at(found.trial_id());
    if (Ended(*entry.trial)) return absl::OkStatus();
    Trial cancelled = *entry.trial;
    cancelled.set_state(Trial::STATE_CANCELLED);
    cancelled.set_reason("cancelled");
    EndAttempt({TrialAttempt::OUTCOME_CANCELLED, now, "cancelled", ""},
               &cancelled);
    ClearProgress(&cancelled);
    KODISTIL_RETURN_IF_ERROR(Store(&entry, std::move(cancelled)));
  }
  return log_->Sync();
}

}  // namespace kodistil
