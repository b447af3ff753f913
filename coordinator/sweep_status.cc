#include "coordinator/sweep_status.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/progress.h"

namespace kodistil {
namespace {

using v1::Trial;
using v1::TrialAttempt;

constexpr absl::Duration kRecent = absl::Hours(1);

absl::Time FromMillis(int64_t unix_ms) { return absl::FromUnixMillis(unix_ms); }

// The last attempt that has this outcome; null for none.
const TrialAttempt* Last(const Trial& trial, TrialAttempt::Outcome outcome) {
  const TrialAttempt* last = nullptr;
  for (const TrialAttempt& attempt : trial.attempt_history()) {
    if (attempt.outcome() == outcome) last = &attempt;
  }
  return last;
}

// Proportional to the multiplications of the LSTM over all epochs; rows and
// their lengths are the same for all cells.
double CostOf(const v1::StudentConfig& config) {
  const double hidden = config.hidden_dim();
  const double layers = std::max<uint32_t>(1, config.lstm_num_layers());
  const double first = hidden * (hidden + config.embedding_dim());
  const double further = (layers - 1) * hidden * 3 * hidden;
  return config.train_epoch() * (first + further);
}

std::string ShapeOf(const v1::StudentConfig& config) {
  return absl::StrCat(config.hidden_dim(), "/", config.embedding_dim(), "/",
                      config.lstm_num_layers(), "/", config.train_epoch(), "/",
                      config.batch_size(), "/", config.engine());
}

// The share of a running cell that is done, 0 to 1.
double ShareDone(const Trial& trial) {
  const double epochs = std::max<uint32_t>(1, trial.config().train_epoch());
  const double before = trial.epoch() > 0 ? trial.epoch() - 1 : 0;
  return std::clamp((before + trial.epoch_fraction()) / epochs, 0.0, 1.0);
}

// What cells take, learnt from those that are done or well under way.
class CellTimes {
 public:
  CellTimes(const std::vector<Trial>& trials, absl::Time now) {
    for (const Trial& trial : trials) {
      if (trial.state() == Trial::STATE_DONE) {
        const TrialAttempt* done = Last(trial, TrialAttempt::OUTCOME_DONE);
        if (done == nullptr) continue;
        Learn(trial, 1e-3 * (done->end_unix_ms() - done->begin_unix_ms()));
      } else if (trial.state() == Trial::STATE_RUNNING) {
        const TrialAttempt* running =
            Last(trial, TrialAttempt::OUTCOME_RUNNING);
        const double share = ShareDone(trial);
        if (running == nullptr || share < 0.1) continue;
        const double seconds =
            absl::ToDoubleSeconds(now - FromMillis(running->begin_unix_ms()));
        Learn(trial, seconds / share);
      }
    }
  }

  bool known() const { return cost_ > 0 && seconds_ > 0; }

  // Of the whole cell; only when known().
  double Seconds(const v1::StudentConfig& config) const {
    const auto shape = shapes_.find(ShapeOf(config));
    if (shape != shapes_.end())
      return shape->second.first / shape->second.second;
    return CostOf(config) * seconds_ / cost_;
  }

 private:
  void Learn(const Trial& trial, double seconds) {
    if (seconds <= 0) return;
    auto& [sum, count] = shapes_[ShapeOf(trial.config())];
    sum += seconds;
    ++count;
    seconds_ += seconds;
    cost_ += CostOf(trial.config());
  }

  std::map<std::string, std::pair<double, int>> shapes_;  // sum, count
  double seconds_ = 0;
  double cost_ = 0;
};

// The work of all cells shared by `slots`, none of which can end before the
// longest cell does.
double Shared(const std::vector<double>& left, double slots) {
  double sum = 0;
  double longest = 0;
  for (const double seconds : left) {
    sum += seconds;
    longest = std::max(longest, seconds);
  }
  return std::max(longest, sum / slots);
}

void ForecastTraining(const std::vector<Trial>& trials, absl::Time now,
                      v1::SweepForecast* forecast) {
  const CellTimes times(trials, now);
  std::vector<double> left;
  std::set<std::string> workers;
  int running = 0;
  for (const Trial& trial : trials) {
    double share = 1;
    if (trial.state() == Trial::STATE_RUNNING) {
      ++running;
      workers.insert(trial.worker_id());
      share = 1 - ShareDone(trial);
    } else if (trial.state() != Trial::STATE_PENDING) {
      continue;
    }
    left.push_back(times.known() ? share * times.Seconds(trial.config()) : 0);
  }
  if (left.empty()) {
    forecast->set_training_seconds(0);
    forecast->set_training_seconds_with_worker(0);
    return;
  }
  if (!times.known() || running == 0) return;
  const double slots = running;
  const double more = slots / static_cast<double>(workers.size());
  forecast->set_training_seconds(Shared(left, slots));
  forecast->set_training_seconds_with_worker(Shared(left, slots + more));
}

void ForecastLabelling(const v1::LabellingStatus& labelling,
                       v1::SweepForecast* forecast) {
  const double left =
      static_cast<double>(labelling.rows() - labelling.rows_done());
  double rate = 0;
  int teachers = 0;
  for (const v1::TeacherStatus& teacher : labelling.teachers()) {
    if (!teacher.connected() || teacher.rows_per_second() <= 0) continue;
    rate += teacher.rows_per_second();
    ++teachers;
  }
  if (left > 0 && teachers == 0) return;
  forecast->set_labelling_seconds(left > 0 ? left / rate : 0);
  forecast->set_labelling_seconds_with_teacher(
      left > 0 ? left / (rate + rate / teachers) : 0);
}

std::string TimeText(double seconds) {
  if (seconds < 10) return absl::StrFormat("%.1f s", seconds);
  return absl::FormatDuration(absl::Seconds(std::llround(seconds)));
}

// "; about 12 s left" or nothing.
std::string LeftText(double seconds) {
  return seconds > 0 ? absl::StrCat("; about ", TimeText(seconds), " left")
                     : "";
}

void AppendLabelling(const v1::GetStatusResponse& status,
                     std::vector<std::string>* lines) {
  const v1::LabellingStatus& labelling = status.labelling();
  double rate = 0;
  for (const v1::TeacherStatus& teacher : labelling.teachers()) {
    if (teacher.connected()) rate += teacher.rows_per_second();
  }
  lines->push_back(
      absl::StrCat("labelling: ", WithCommas(labelling.rows_done()), " of ",
                   WithCommas(labelling.rows()), " rows, ",
                   WithCommas(labelling.tokens_waiting()), " tokens wait; ",
                   WithCommas(std::llround(rate)), " rows/s",
                   LeftText(status.forecast().labelling_seconds())));
  for (const v1::TeacherStatus& teacher : labelling.teachers()) {
    lines->push_back(absl::StrCat(
        "  teacher ", teacher.address(), ": ", WithCommas(teacher.rows()),
        " rows, ", WithCommas(std::llround(teacher.rows_per_second())),
        " rows/s", teacher.connected() ? "" : ", gone"));
  }
}

std::string AdviceText(const v1::SweepForecast& forecast) {
  const double label = forecast.labelling_seconds();
  const double train = forecast.training_seconds();
  std::vector<std::pair<double, std::string>> gains;
  if (label > 0) {
    gains.emplace_back(label - forecast.labelling_seconds_with_teacher(),
                       "one more teacher");
  }
  if (train > 0) {
    gains.emplace_back(train - forecast.training_seconds_with_worker(),
                       "one more worker");
  }
  std::sort(gains.rbegin(), gains.rend());
  if (gains.empty()) return "";
  std::string text = "sooner:";
  for (const auto& [gain, what] : gains) {
    absl::StrAppend(&text, text.back() == ':' ? " " : ", ", what,
                    gain < 0.05
                        ? " saves nothing"
                        : absl::StrCat(" saves about ", TimeText(gain)));
  }
  absl::StrAppend(&text, " of ",
                  TimeText(std::max(label, 0.0) + std::max(train, 0.0)));
  return text;
}

}  // namespace

v1::TrainingStatus TrainingStatusOf(const std::vector<Trial>& trials,
                                    absl::Time now) {
  v1::TrainingStatus status;
  std::set<std::string> workers;
  absl::Time first = now;
  int recent = 0;
  for (const Trial& trial : trials) {
    switch (trial.state()) {
      case Trial::STATE_RUNNING:
        status.set_running(status.running() + 1);
        workers.insert(trial.worker_id());
        break;
      case Trial::STATE_DONE:
        status.set_done(status.done() + 1);
        break;
      case Trial::STATE_FAILED:
        status.set_failed(status.failed() + 1);
        break;
      case Trial::STATE_CANCELLED:
        status.set_cancelled(status.cancelled() + 1);
        break;
      default:
        status.set_pending(status.pending() + 1);
    }
    const TrialAttempt* done = Last(trial, TrialAttempt::OUTCOME_DONE);
    if (trial.state() != Trial::STATE_DONE || done == nullptr ||
        now - FromMillis(done->end_unix_ms()) > kRecent) {
      continue;
    }
    ++recent;
    first = std::min(first, FromMillis(done->begin_unix_ms()));
  }
  status.set_workers(workers.size());
  const absl::Duration span = std::min(now - first, kRecent);
  if (recent > 0 && span > absl::ZeroDuration()) {
    status.set_trials_per_hour(recent *
                               absl::FDivDuration(absl::Hours(1), span));
  }
  return status;
}

v1::SweepForecast ForecastOf(const v1::LabellingStatus* labelling,
                             const std::vector<Trial>& trials, absl::Time now) {
  v1::SweepForecast forecast;
  forecast.set_labelling_seconds(labelling == nullptr ? 0 : -1);
  forecast.set_labelling_seconds_with_teacher(labelling == nullptr ? 0 : -1);
  forecast.set_training_seconds(-1);
  forecast.set_training_seconds_with_worker(-1);
  if (labelling != nullptr) ForecastLabelling(*labelling, &forecast);
  ForecastTraining(trials, now, &forecast);
  return forecast;
}

std::vector<std::string> JobLines(const std::vector<v1::JobStatus>& jobs) {
  std::vector<std::string> lines;
  for (const v1::JobStatus& job : jobs) {
    lines.push_back(absl::StrCat("slurm: ", job.what(), " (job ", job.jobs(),
                                 "): ", job.running(), " run, ", job.waiting(),
                                 " wait"));
    std::string& line = lines.back();
    if (!job.reason().empty()) absl::StrAppend(&line, " (", job.reason(), ")");
    if (job.ended() > 0) absl::StrAppend(&line, ", ", job.ended(), " ended");
    if (job.resubmitted() > 0) {
      absl::StrAppend(&line, "; ", job.resubmitted(), " submitted again");
    }
  }
  return lines;
}

std::vector<std::string> StatusLines(const v1::GetStatusResponse& status) {
  std::vector<std::string> lines;
  if (status.phase() == v1::GetStatusResponse::PHASE_PREPARING) {
    lines.push_back("preparing: data, vocabularies, teachers");
  }
  if (status.has_labelling()) AppendLabelling(status, &lines);
  const v1::TrainingStatus& training = status.training();
  std::string line = absl::StrCat(
      "training: ", training.pending(), " cells wait, ", training.running(),
      " run on ", training.workers(),
      training.workers() == 1 ? " worker, " : " workers, ", training.done(),
      " are done, ", training.failed(), " have failed");
  if (training.trials_per_hour() > 0) {
    absl::StrAppend(&line, absl::StrFormat("; %.1f cells/hour",
                                           training.trials_per_hour()));
  }
  lines.push_back(
      absl::StrCat(line, LeftText(status.forecast().training_seconds())));
  for (std::string& job :
       JobLines({status.jobs().begin(), status.jobs().end()})) {
    lines.push_back(std::move(job));
  }
  const std::string advice = AdviceText(status.forecast());
  if (!advice.empty()) lines.push_back(advice);
  if (status.forecast().training_seconds() < 0) {
    lines.push_back(
        training.running() == 0 &&
                status.phase() == v1::GetStatusResponse::PHASE_TRAINING
            ? "no worker trains: nothing ends before one comes"
            : "what training takes is not known before a cell is well under "
              "way");
  }
  return lines;
}

}  // namespace kodistil
