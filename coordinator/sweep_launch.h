// Where the teachers and workers of a sweep run, from its options.

#ifndef KODISTIL_COORDINATOR_SWEEP_LAUNCH_H_
#define KODISTIL_COORDINATOR_SWEEP_LAUNCH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cluster.h"
#include "coordinator/status_board.h"
#include "coordinator/sweep.h"

namespace kodistil {

// Fills in what --launch=slurm needs and was not given: every address of this
// machine, and its name.
void ResolveLaunch(SweepOptions* options);

// What goes together of launch, its arguments, workers and addresses.
absl::Status CheckLaunch(const SweepOptions& options);

// The ports at which the coordinator listens if it can, the best first: jobs of
// an earlier coordinator look for it where that one was.
std::vector<int> PortsToTry(const SweepOptions& options, int port,
                            const std::string& port_file);

// Of a coordinator that listens at this port. `board` is told of the jobs.
absl::StatusOr<std::unique_ptr<Cluster>> MakeCluster(
    const SweepOptions& options, int coordinator_port, StatusBoard* board);

// Prints what --launch=slurm would submit for a sweep of which nothing is done.
// What is chosen when it starts (ports) stands there as a word.
absl::Status PrintLaunch(const SweepOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_LAUNCH_H_
