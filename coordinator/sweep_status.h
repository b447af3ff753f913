// How long a sweep will take as things stand, and what would finish it sooner.

#ifndef KODISTIL_COORDINATOR_SWEEP_STATUS_H_
#define KODISTIL_COORDINATOR_SWEEP_STATUS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kodistil/v1/coordinator.pb.h"
#include "kodistil/v1/status.pb.h"

namespace kodistil {

// Counts, workers and trials per hour of a sweep's trials.
v1::TrainingStatus TrainingStatusOf(const std::vector<v1::Trial>& trials,
                                    absl::Time now);

// `labelling` is null when nothing is being labelled. A cell is taken to need
// what done cells of its shape needed, else what the arithmetic of its network
// says at the speed of the others.
v1::SweepForecast ForecastOf(const v1::LabellingStatus* labelling,
                             const std::vector<v1::Trial>& trials,
                             absl::Time now);

// "slurm: workers (job 17): 2 run, 4 wait (Priority), 1 ended": a line for
// each.
std::vector<std::string> JobLines(const std::vector<v1::JobStatus>& jobs);

// Lines for people.
std::vector<std::string> StatusLines(const v1::GetStatusResponse& status);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_STATUS_H_
