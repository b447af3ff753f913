#include "coordinator/explain_trial.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "coordinator/attempt_history.h"
#include "coordinator/ledger.h"

namespace kodistil {
namespace {

using v1::Trial;
using v1::TrialAttempt;

using Lines = std::vector<std::string>;

std::string TimeText(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                          absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

std::string SecondsText(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

void ExplainPending(const Trial& trial, const TrialSituation* situation,
                    Lines* lines) {
  if (situation == nullptr) {
    lines->push_back("It waits for a coordinator.");
  } else if (situation->queue_position < 0) {
    lines->push_back("It is not part of the sweep that runs now.");
  } else if (!situation->leasing) {
    lines->push_back(
        "It waits until the coordinator hands out trials, which it does not at "
        "the moment.");
  } else {
    lines->push_back(absl::StrFormat(
        "It waits for a worker that asks for a trial: %d pending trials are "
        "before it; %d workers are here, %d of them at work.",
        situation->queue_position, situation->workers,
        situation->busy_workers));
  }
  if (trial.has_checkpoint()) {
    lines->push_back(absl::StrFormat(
        "Its next worker goes on after epoch %d, from a checkpoint of %d "
        "bytes.",
        trial.checkpoint().epoch(), trial.checkpoint().bytes()));
  }
}

void ExplainRunning(const Trial& trial, const TrialSituation* situation,
                    Lines* lines) {
  lines->push_back(absl::StrFormat(
      "Worker %s is in epoch %d of %d (%.0f %% of it done).", trial.worker_id(),
      trial.epoch(), trial.config().train_epoch(),
      100 * trial.epoch_fraction()));
  if (situation == nullptr) {
    lines->push_back(
        "Its worker waits for a coordinator, or has died with it.");
    return;
  }
  std::string heard = "not heard since the coordinator started";
  if (situation->last_heard > absl::InfinitePast()) {
    heard = absl::StrCat(
        "heard ", SecondsText(situation->now - situation->last_heard), " ago");
  }
  lines->push_back(
      absl::StrCat("Its worker was ", heard, "; the lease ends in ",
                   SecondsText(situation->lease_end - situation->now),
                   " if it is not renewed."));
}

// "attempt 2 by local/0, 2026-01-02 03:04:05 UTC, 12.3 s: lost after epoch 3
// (local/0 was killed by signal 9)".
std::string AttemptText(const TrialAttempt& attempt) {
  std::string text =
      absl::StrCat("Attempt ", attempt.number(), " by ", attempt.worker_id(),
                   ", ", TimeText(attempt.begin_unix_ms()));
  if (attempt.outcome() == TrialAttempt::OUTCOME_RUNNING) {
    return absl::StrCat(text, ": running");
  }
  absl::StrAppend(&text, ", ",
                  SecondsText(absl::Milliseconds(attempt.end_unix_ms() -
                                                 attempt.begin_unix_ms())),
                  ": ", OutcomeText(attempt.outcome()));
  if (attempt.outcome() != TrialAttempt::OUTCOME_DONE) {
    absl::StrAppend(&text,
                    attempt.epochs() == 0
                        ? " before its first epoch's end"
                        : absl::StrCat(" after epoch ", attempt.epochs()));
  }
  if (!attempt.reason().empty()) {
    absl::StrAppend(&text, " (", attempt.reason(), ")");
  }
  return text;
}

void ExplainAttempts(const Trial& trial, Lines* lines) {
  const LedgerOptions limits;
  lines->push_back(absl::StrFormat(
      "It was leased %d times; against it count %d failed attempts of %d and "
      "%d lost workers of %d.",
      trial.leases(), trial.failures(), limits.max_failures, trial.lost(),
      limits.max_lost));
  const int forgotten =
      static_cast<int>(trial.leases()) - trial.attempt_history_size();
  if (forgotten > 0) {
    lines->push_back(
        absl::StrCat("The first ", forgotten, " attempts are not kept."));
  }
  for (const TrialAttempt& attempt : trial.attempt_history()) {
    lines->push_back(AttemptText(attempt));
    for (const absl::string_view line :
         absl::StrSplit(attempt.log_tail(), '\n', absl::SkipEmpty())) {
      lines->push_back(absl::StrCat("    | ", line));
    }
  }
}

}  // namespace

std::vector<std::string> ExplainTrial(const Trial& trial,
                                      const TrialSituation* situation) {
  Lines lines;
  lines.push_back(absl::StrCat("Trial ", trial.trial_id(), " is ",
                               Trial::State_Name(trial.state()).substr(6),
                               "."));
  if (trial.state() == Trial::STATE_PENDING) {
    ExplainPending(trial, situation, &lines);
  }
  if (trial.state() == Trial::STATE_RUNNING) {
    ExplainRunning(trial, situation, &lines);
  }
  if (trial.state() == Trial::STATE_DONE) {
    lines.push_back(absl::StrFormat(
        "Its student has %d of %d test rows right after %d epochs.",
        trial.result().correct(), trial.result().total(),
        trial.result().epochs()));
  }
  if (!trial.reason().empty()) {
    lines.push_back(absl::StrCat("Last reason: ", trial.reason()));
  }
  if (trial.state() == Trial::STATE_FAILED ||
      trial.state() == Trial::STATE_CANCELLED) {
    lines.push_back("Giving the sweep again runs it anew.");
  }
  ExplainAttempts(trial, &lines);
  return lines;
}

}  // namespace kodistil
