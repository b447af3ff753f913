#include "coordinator/attempt_history.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "coordinator/sweep_metrics.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

using v1::Trial;
using v1::TrialAttempt;

constexpr size_t kReasonBytes = 1000;
constexpr size_t kLogTailBytes = 4000;

// The running one; null when there is none.
TrialAttempt* Running(Trial* trial) {
  if (trial->attempt_history_size() == 0) return nullptr;
  TrialAttempt* const last =
      trial->mutable_attempt_history(trial->attempt_history_size() - 1);
  return last->outcome() == TrialAttempt::OUTCOME_RUNNING ? last : nullptr;
}

}  // namespace

void BeginAttempt(absl::Time now, Trial* trial) {
  auto* const history = trial->mutable_attempt_history();
  if (history->size() >= kAttemptsKept) {
    history->DeleteSubrange(0, history->size() - kAttemptsKept + 1);
  }
  TrialAttempt* const attempt = history->Add();
  attempt->set_number(trial->attempts());
  attempt->set_worker_id(trial->worker_id());
  attempt->set_begin_unix_ms(absl::ToUnixMillis(now));
  attempt->set_outcome(TrialAttempt::OUTCOME_RUNNING);
  SweepMetrics::Process().leases.Increment();
}

void EndAttempt(const AttemptEnd& end, Trial* trial) {
  TrialAttempt* const attempt = Running(trial);
  if (attempt == nullptr) return;
  attempt->set_outcome(end.outcome);
  SweepMetrics::Process().attempts.With({OutcomeText(end.outcome)}).Increment();
  attempt->set_end_unix_ms(absl::ToUnixMillis(end.time));
  attempt->set_reason(
      Utf8Tail(end.reason.substr(0, kReasonBytes), kReasonBytes));
  attempt->set_log_tail(Utf8Tail(end.log_tail, kLogTailBytes));
}

bool NoteEpoch(uint32_t epoch, Trial* trial) {
  uint32_t most = 0;
  for (const TrialAttempt& attempt : trial->attempt_history()) {
    most = std::max(most, attempt.epochs());
  }
  TrialAttempt* const attempt = Running(trial);
  if (attempt != nullptr) attempt->set_epochs(epoch);
  return epoch > most;
}

std::string OutcomeText(TrialAttempt::Outcome outcome) {
  if (!TrialAttempt::Outcome_IsValid(outcome)) return "of unknown outcome";
  std::string text =
      TrialAttempt::Outcome_Name(outcome).substr(sizeof("OUTCOME_") - 1);
  absl::AsciiStrToLower(&text);
  return text;
}

}  // namespace kodistil
