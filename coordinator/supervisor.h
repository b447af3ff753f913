// Watches over the training of a sweep until every cell has ended.

#ifndef KODISTIL_COORDINATOR_SUPERVISOR_H_
#define KODISTIL_COORDINATOR_SUPERVISOR_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "artifacts/checkpoint_store.h"
#include "coordinator/cluster.h"
#include "coordinator/ledger.h"
#include "coordinator/sweep_progress.h"

namespace kodistil {

struct SupervisorOptions {
  // Ends the sweep once more cells have failed; -1 never does.
  int max_failed = -1;
  // Asked ten times a second.
  std::function<bool()> stopped = [] { return false; };
  // Told ten times a second of the trials that have changed.
  std::function<void(const std::vector<v1::Trial>&)> changed =
      [](const std::vector<v1::Trial>&) {};
};

// Not thread-safe: one thread, that which started the cluster's processes.
// Borrows what it is given; `checkpoints` may be null.
class Supervisor {
 public:
  Supervisor(const SupervisorOptions& options, Ledger* ledger, Cluster* cluster,
             CheckpointStore* checkpoints)
      : options_(options),
        ledger_(*ledger),
        cluster_(*cluster),
        checkpoints_(checkpoints) {}

  // Restarts processes of the cluster that died, takes trials from silent
  // workers, drops checkpoints that nobody needs, shows the progress. CANCELLED
  // when stopped, ABORTED when too many cells have failed, and the cluster's
  // and the ledger's errors.
  absl::Status Run(SweepProgress* progress);

 private:
  // Whether the worker had a trial.
  bool WorkerDied(const std::string& name, const Ledger::Loss& loss);
  absl::Status ExpireLeases();
  absl::Status DropCheckpoints();
  absl::Status CheckFailed() const;

  const SupervisorOptions options_;
  Ledger& ledger_;
  Cluster& cluster_;
  CheckpointStore* const checkpoints_;
  absl::Time checkpoints_dropped_ = absl::InfinitePast();
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SUPERVISOR_H_
