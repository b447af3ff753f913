// The trial ledger: which cells there are, who runs them, what they gave.
// Durable in RocksDB; results are committed exactly once.

#ifndef KODISTIL_COORDINATOR_LEDGER_H_
#define KODISTIL_COORDINATOR_LEDGER_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/attempt_history.h"
#include "coordinator/ledger_log.h"
#include "coordinator/ledger_options.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// Thread-safe. What ends an attempt is on disk (synced) before a call returns;
// calls under way at the same time share one sync. A lease is written, but not
// waited for, which docs/adr/0016 explains; nor is a checkpoint. The progress
// of a running epoch is kept in memory alone. After a failed write every call
// that changes something returns that write's error: what is in memory may not
// be on disk.
class Ledger {
 public:
  // Opens or makes the ledger in `path`. Trials that were running keep their
  // attempt and get a new lease from `now`: their workers may still be there.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(
      const std::string& path, const LedgerOptions& options, absl::Time now);

  struct Submitted {
    int done = 0;     // had a result already
    int added = 0;    // not known before
    int retried = 0;  // had failed or been cancelled, pending again
  };
  // Makes `trials` (id, config and inputs set) the sweep to be run: only they
  // are leased. Known trials keep their state, but FAILED and CANCELLED ones
  // become PENDING with their counts at 0, and all take the new inputs.
  absl::StatusOr<Submitted> Submit(const std::vector<v1::Trial>& trials);

  // The next pending trial, and others that fit together with it (packing.h),
  // now RUNNING with a new attempt number, which no earlier lease of them had,
  // whatever the disk has forgotten; empty when none is pending. A trial whose
  // last attempt was lost comes alone: it may be what killed the worker.
  absl::StatusOr<std::vector<v1::Trial>> Lease(
      const std::string& worker, absl::Time now,
      const LeaseLimits& limits = LeaseLimits());

  // Renews the lease and keeps the progress. ABORTED when `attempt` is not the
  // running one, NOT_FOUND for an unknown trial.
  absl::Status Heartbeat(const v1::HeartbeatRequest& request, absl::Time now);

  // Commits the result of the running attempt. The same commit again is OK;
  // ABORTED for any other attempt.
  absl::Status Complete(const v1::CompleteRequest& request,
                        absl::Time now = absl::Now());
  // The same without waiting: `done` gets the status, at once or from another
  // thread, and must not wait.
  void Complete(const v1::CompleteRequest& request, absl::Time now,
                LedgerLog::Done done);

  // The running attempt failed: PENDING again, or FAILED when it cannot succeed
  // or has failed too often. The same call again is OK; ABORTED for any other
  // attempt.
  absl::Status Fail(const v1::FailRequest& request,
                    absl::Time now = absl::Now());
  void Fail(const v1::FailRequest& request, absl::Time now,
            LedgerLog::Done done);

  // Attempts whose lease has run out are lost. Returns their workers.
  // `log_tail` gives the end of a worker's log, as far as it is known.
  using LogTailOf = std::function<std::string(const std::string& worker)>;
  absl::StatusOr<std::vector<std::string>> ExpireLeases(
      absl::Time now, const LogTailOf& log_tail = nullptr);
  // Every running attempt gets a new lease from `now`: for a coordinator that
  // could not be reached for a while.
  void RenewLeases(absl::Time now);

  struct Loss {
    std::string reason;
    std::string log_tail = "";  // the end of the worker's log, if known
    bool count = true;          // towards max_lost
    absl::Time time = absl::Now();
  };
  // The worker is gone: its attempts are lost at once.
  absl::Status ReleaseWorker(const std::string& worker, const Loss& loss);

  absl::Status Cancel(const std::string& trial_id,
                      absl::Time now = absl::Now());

  // Of the current sweep, in the order submitted.
  std::vector<v1::Trial> Trials() const;
  // Those of them that changed after `*version`, in the order of their changes;
  // sets `*version` to the present one. From 0 on: all.
  std::vector<v1::Trial> ChangedSince(uint64_t* version) const;
  struct Counts {
    int total = 0;
    int pending = 0;
    int running = 0;
    int done = 0;
    int failed = 0;
    int cancelled = 0;
  };
  Counts counts() const;
  // By id or by a prefix that only one trial has: NOT_FOUND or
  // INVALID_ARGUMENT.
  absl::StatusOr<v1::Trial> Find(const std::string& id_or_prefix) const;
  // How many pending trials are leased before this one; -1 when it is not
  // pending, or not of the current sweep.
  int QueuePosition(const std::string& trial_id) const;
  // When the lease of a running trial ends; InfinitePast when it has none.
  absl::Time LeaseEnd(const std::string& trial_id) const;
  // Digests of the checkpoints that unfinished trials go on from. What is not
  // among them will not be asked for, even after a power cut.
  absl::StatusOr<std::set<std::string>> Checkpoints() const;
  // Whether the trial is known and has a result.
  bool IsDone(const std::string& trial_id) const;
  // Whether no trial of the sweep is pending or running.
  bool Finished() const;
  // Waits until Finished, or for `limit`; returns Finished.
  bool WaitUntilFinished(absl::Duration limit) const;
  // Waits until something changes after version `seen`, or for `limit`.
  uint64_t WaitForChange(uint64_t seen, absl::Duration limit) const;

 private:
  struct Entry {
    // Replaced, never changed: what was handed out stays as it was.
    std::shared_ptr<const v1::Trial> trial;
    absl::Time lease_end;  // while RUNNING
    bool leased = false;   // since this ledger was opened
    int position = -1;     // in order_, if it is there
    std::string pack_key;  // of packing.h
    uint64_t changed = 0;  // version
  };

  Ledger(const LedgerOptions& options, std::unique_ptr<LedgerLog> log)
      : options_(options), log_(std::move(log)) {}

  absl::Status Load(absl::Time now);
  // Before the first lease: the number of this start, durable by the next sync.
  absl::Status BeginStart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SubmitTrial(const v1::Trial& wanted, Submitted* submitted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What one lease takes.
  std::vector<Entry*> ChoosePack(const LeaseLimits& limits) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The next attempt at the trial.
  v1::Trial NextAttempt(const Entry& entry, const std::string& worker,
                        absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In memory alone.
  void Set(Entry* entry, v1::Trial trial) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Also queues the record.
  absl::Status Store(Entry* entry, v1::Trial trial)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Entry*> FindRunning(const std::string& id, uint32_t attempt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Commit(const v1::CompleteRequest& request, absl::Time now);
  absl::Status GiveBack(const v1::FailRequest& request, absl::Time now);
  struct HowItEnded {
    AttemptEnd end;
    bool count = true;
    bool retryable = true;
  };
  absl::Status EndRunning(Entry* entry, const HowItEnded& how, v1::Trial trial)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool FinishedLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return counts_.pending + counts_.running == 0;
  }
  int* CountOf(v1::Trial::State state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LedgerOptions options_;
  const std::unique_ptr<LedgerLog> log_;

  mutable absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by id
  // The current sweep.
  std::vector<Entry*> order_ ABSL_GUARDED_BY(mutex_);
  std::set<int> pending_ ABSL_GUARDED_BY(mutex_);  // positions in order_
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Entry*> by_change_ ABSL_GUARDED_BY(mutex_);
  // Of any sweep.
  std::set<Entry*> running_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
  // How often the ledger was opened for work, this time included; 0 before
  // BeginStart.
  uint32_t start_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LEDGER_H_
