// How a ledger treats trials.

#ifndef KODISTIL_COORDINATOR_LEDGER_OPTIONS_H_
#define KODISTIL_COORDINATOR_LEDGER_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace rocksdb {
class Env;
}

namespace kodistil {

struct LedgerOptions {
  // A lease that is not renewed for so long is lost.
  absl::Duration lease = absl::Seconds(30);
  // Attempts that the worker itself reported as failed, until FAILED.
  int max_failures = 3;
  // Attempts lost with their worker, none of which came further than those
  // before, until FAILED.
  int max_lost = 5;
  // Of RocksDB; null but in tests.
  rocksdb::Env* env = nullptr;

  absl::Status Validate() const;
};

struct LeaseLimits {
  // Trials of one lease.
  int most = 1;
  // Workers that share what is pending: a lease takes no more than its part, so
  // that none of them is left without a trial by a pack.
  int workers = 1;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LEDGER_OPTIONS_H_
