// Why a trial is where it is, in sentences for a person.

#ifndef KODISTIL_COORDINATOR_EXPLAIN_TRIAL_H_
#define KODISTIL_COORDINATOR_EXPLAIN_TRIAL_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// What a coordinator at work knows around a trial.
struct TrialSituation {
  absl::Time now;
  bool leasing = false;     // whether trials are handed out yet
  int queue_position = -1;  // pending trials before it; -1: it is not in line
  int workers = 0;          // heard within a lease
  int busy_workers = 0;     // with a trial
  // Of a running one: the end of its lease, and when its worker was last heard.
  absl::Time lease_end = absl::InfinitePast();
  absl::Time last_heard = absl::InfinitePast();
};

// The state, what it waits for, what counts against it, and each attempt with
// worker, begin, end and reason. `situation` is null when no coordinator works.
std::vector<std::string> ExplainTrial(const v1::Trial& trial,
                                      const TrialSituation* situation);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_EXPLAIN_TRIAL_H_
