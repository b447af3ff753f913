#include "coordinator/sweep_progress.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "coordinator/grid.h"

namespace kodistil {
namespace {

using v1::Trial;

bool Ended(const Trial& trial) {
  return trial.state() != Trial::STATE_PENDING &&
         trial.state() != Trial::STATE_RUNNING;
}

std::string EndedText(const Trial& trial) {
  const std::string name = CellName(trial.config());
  if (trial.state() != Trial::STATE_DONE) {
    return absl::StrCat(name, ": ", Trial::State_Name(trial.state()).substr(6),
                        " (", trial.reason(), ")");
  }
  const v1::TrialResult& result = trial.result();
  return absl::StrFormat(
      "%s: %d of %d right (%.2f %%), trained in %.1f s (%s rows/s)", name,
      result.correct(), result.total(),
      result.total() > 0 ? 100.0 * result.correct() / result.total() : 0.0,
      result.train_seconds(),
      WithCommas(static_cast<int64_t>(result.train_rows_per_second())));
}

}  // namespace

SweepProgress::SweepProgress(const std::vector<Trial>& trials)
    : start_(absl::Now()), total_(trials.size()) {
  for (const Trial& trial : trials) {
    if (Ended(trial)) ended_.insert(trial.trial_id());
  }
}

void SweepProgress::Note(const std::vector<Trial>& changed) {
  for (const Trial& trial : changed) {
    if (trial.state() == Trial::STATE_RUNNING) {
      running_[trial.trial_id()] = trial;
      continue;
    }
    running_.erase(trial.trial_id());
    if (!Ended(trial) || !ended_.insert(trial.trial_id()).second) continue;
    if (trial.state() == Trial::STATE_DONE) ++trained_;
    line_.Print(absl::StrCat("done ", ended_.size(), "/", total_, "  ",
                             EndedText(trial)));
  }
}

void SweepProgress::Show(const std::vector<Trial>& changed) {
  Note(changed);
  line_.Update(SweepProgressText(ended_.size(), total_, running_));
}

int SweepProgress::Finish(const std::vector<Trial>& changed) {
  Note(changed);
  line_.Finish(absl::StrCat("sweep: ", ended_.size(), " of ", total_,
                            " cells ended, ", trained_,
                            " of them trained now, "
                            "in ",
                            ClockText(absl::Now() - start_)));
  return trained_;
}

std::string CellName(const v1::StudentConfig& config) {
  std::string name = StudentName(config);
  if (config.loss_option() == "ce") {
    absl::StrAppend(&name, " plain");
  } else {
    if (config.loss_option() == "mse") absl::StrAppend(&name, " mse");
    if (config.loss_option() == "kl_div") {
      absl::StrAppend(&name, " T=", config.temperature());
    }
    absl::StrAppend(&name, " a=", config.loss_rate());
  }
  return name;
}

std::string SweepProgressText(size_t ended, size_t total,
                              const std::map<std::string, Trial>& running) {
  std::string text = absl::StrCat("cells ", ended, "/", total);
  for (const auto& [id, trial] : running) {
    absl::StrAppend(&text, " | ", CellName(trial.config()));
    if (trial.epoch() == 0) {
      absl::StrAppend(&text, " starting");
      continue;
    }
    absl::StrAppendFormat(&text, " epoch %d/%d %.0f %% loss %.3f",
                          trial.epoch(), trial.config().train_epoch(),
                          100 * trial.epoch_fraction(), trial.train_loss());
    if (trial.history_size() > 0) {
      absl::StrAppendFormat(
          &text, " acc %.1f %%",
          100 * trial.history(trial.history_size() - 1).valid_accuracy());
    }
  }
  return text;
}

}  // namespace kodistil
