// The leases of a trial, as its record keeps them for people.

#ifndef KODISTIL_COORDINATOR_ATTEMPT_HISTORY_H_
#define KODISTIL_COORDINATOR_ATTEMPT_HISTORY_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// How many leases a record keeps; older ones are forgotten, not uncounted.
inline constexpr int kAttemptsKept = 16;

struct AttemptEnd {
  v1::TrialAttempt::Outcome outcome = v1::TrialAttempt::OUTCOME_UNSPECIFIED;
  absl::Time time;
  std::string reason;    // at most 1,000 bytes are kept
  std::string log_tail;  // at most 4,000 bytes are kept
};

// The trial, whose `attempts` and `worker_id` are those of the new lease, runs.
void BeginAttempt(absl::Time now, v1::Trial* trial);

// The running attempt is over.
void EndAttempt(const AttemptEnd& end, v1::Trial* trial);

// Notes that the running attempt has finished `epoch`. Whether no attempt had
// come so far before.
bool NoteEpoch(uint32_t epoch, v1::Trial* trial);

// "done", "failed", ... for people.
std::string OutcomeText(v1::TrialAttempt::Outcome outcome);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_ATTEMPT_HISTORY_H_
