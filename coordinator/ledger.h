// The trial ledger: which cells there are, who runs them, what they gave.
// Durable in RocksDB; results are committed exactly once.

#ifndef KODISTIL_COORDINATOR_LEDGER_H_
#define KODISTIL_COORDINATOR_LEDGER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "kodistil/v1/coordinator.pb.h"

namespace rocksdb {
class DB;
}

namespace kodistil {

struct LedgerOptions {
  // A lease that is not renewed for so long is lost.
  absl::Duration lease = absl::Seconds(30);
  // Attempts that the worker itself reported as failed, until FAILED.
  int max_failures = 3;
  // Attempts lost with their worker and no epoch done between, until FAILED.
  int max_lost = 5;

  absl::Status Validate() const;
};

struct LeaseLimits {
  // Trials of one lease.
  int most = 1;
  // Workers that share what is pending: a lease takes no more than its part, so
  // that none of them is left without a trial by a pack.
  int workers = 1;
};

// Thread-safe. State changes are on disk (synced) before a call returns; those
// of calls under way at the same time share one sync. The progress of a running
// epoch is kept in memory alone. After a failed write every call that changes
// something returns that write's error: what is in memory may not be on disk.
class Ledger {
 public:
  // Opens or makes the ledger in `path`. Trials that were running keep their
  // attempt and get a new lease from `now`: their workers may still be there.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(
      const std::string& path, const LedgerOptions& options, absl::Time now);
  ~Ledger();

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
  // now RUNNING with a new attempt number; empty when none is pending. A trial
  // whose last attempt was lost comes alone: it may be what killed the worker.
  absl::StatusOr<std::vector<v1::Trial>> Lease(
      const std::string& worker, absl::Time now,
      const LeaseLimits& limits = LeaseLimits());

  // Renews the lease and keeps the progress. ABORTED when `attempt` is not the
  // running one, NOT_FOUND for an unknown trial.
  absl::Status Heartbeat(const v1::HeartbeatRequest& request, absl::Time now);

  // Commits the result of the running attempt. The same commit again is OK;
  // ABORTED for any other attempt.
  absl::Status Complete(const v1::CompleteRequest& request);

  // The running attempt failed: PENDING again, or FAILED when it cannot succeed
  // or has failed too often. ABORTED for any other attempt.
  absl::Status Fail(const v1::FailRequest& request);

  // Attempts whose lease has run out are lost. Returns their workers.
  absl::StatusOr<std::vector<std::string>> ExpireLeases(absl::Time now);
  // Every running attempt gets a new lease from `now`: for a coordinator that
  // could not be reached for a while.
  void RenewLeases(absl::Time now);

  // The worker is gone: its attempts are lost at once. With `count` they count
  // towards max_lost.
  absl::Status ReleaseWorker(const std::string& worker, bool count,
                             const std::string& reason);

  absl::Status Cancel(const std::string& trial_id);

  // Of the current sweep, in the order submitted.
  std::vector<v1::Trial> Trials() const;
  // By id or by a prefix that only one trial has: NOT_FOUND or
  // INVALID_ARGUMENT.
  absl::StatusOr<v1::Trial> Find(const std::string& id_or_prefix) const;
  // Whether the trial is known and has a result.
  bool IsDone(const std::string& trial_id) const;
  // Whether no trial of the sweep is pending or running.
  bool Finished() const;
  // Rises with every change of a trial, progress included.
  uint64_t version() const;
  // Waits until the version is not `seen`, or for `limit`.
  uint64_t WaitForChange(uint64_t seen, absl::Duration limit) const;

 private:
  Ledger(LedgerOptions options, std::unique_ptr<rocksdb::DB> db);

  absl::Status Load(absl::Time now);
  // Queues the trial's record; MakeDurable writes it.
  absl::Status Store(const v1::Trial& trial)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns once everything queued so far is synced. Releases the mutex while
  // it writes or waits for another thread that does.
  absl::Status MakeDurable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Positions in order_ of what one lease takes.
  std::vector<size_t> ChoosePack(const LeaseLimits& limits) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<v1::Trial*> FindRunning(const std::string& id,
                                         uint32_t attempt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status EndAttempt(v1::Trial* trial, bool lost, bool count,
                          bool retryable, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LedgerOptions options_;
  const std::unique_ptr<rocksdb::DB> db_;

  mutable absl::Mutex mutex_;
  std::map<std::string, v1::Trial> trials_ ABSL_GUARDED_BY(mutex_);
  // The current sweep.
  std::vector<std::string> order_ ABSL_GUARDED_BY(mutex_);
  std::set<size_t> pending_ ABSL_GUARDED_BY(mutex_);  // positions in order_
  std::map<std::string, size_t> position_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> pack_key_ ABSL_GUARDED_BY(mutex_);  // as order_
  std::map<std::string, absl::Time> lease_end_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
  // Records to be written, how many were ever queued, and how many are synced.
  std::vector<std::pair<std::string, std::string>> queue_
      ABSL_GUARDED_BY(mutex_);
  uint64_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the first write that failed.
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LEDGER_H_
