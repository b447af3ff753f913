#include "coordinator/status_board.h"

#include <utility>

#include "absl/time/clock.h"
#include "coordinator/sweep_status.h"

namespace kodistil {
namespace {

constexpr int kMaxCalls = 16;

}  // namespace

StatusBoard::StatusBoard(const Ledger* ledger)
    : ledger_(*ledger), calls_(kMaxCalls, "the sweep's status") {
  const auto add = [this](const char* name, const char* help,
                          int64_t (*value)(const v1::LabellingStatus&)) {
    metrics_.push_back(MetricRegistry::Process().AddCallback(
        {name, help}, [this, value]() -> std::vector<MetricSample> {
          absl::MutexLock lock(&mutex_);
          const int64_t now = labelling_.has_value() ? value(*labelling_) : 0;
          return {{{}, static_cast<double>(now)}};
        }));
  };
  add("kodistil_sweep_label_rows_waiting",
      "Rows that the labelling under way has left",
      [](const v1::LabellingStatus& labelling) -> int64_t {
        return labelling.rows() - labelling.rows_done();
      });
  add("kodistil_sweep_label_tokens_waiting",
      "Tokens, estimated, of the rows that the labelling has left",
      [](const v1::LabellingStatus& labelling) -> int64_t {
        return labelling.tokens_waiting();
      });
}

void StatusBoard::SetPhase(v1::GetStatusResponse::Phase phase) {
  absl::MutexLock lock(&mutex_);
  phase_ = phase;
}

void StatusBoard::SetPlanned(std::vector<v1::Trial> trials) {
  for (v1::Trial& trial : trials) trial.set_state(v1::Trial::STATE_PENDING);
  absl::MutexLock lock(&mutex_);
  planned_ = std::move(trials);
}

void StatusBoard::SetLabelling(absl::optional<v1::LabellingStatus> labelling) {
  absl::MutexLock lock(&mutex_);
  labelling_ = std::move(labelling);
}

void StatusBoard::SetJobs(std::vector<v1::JobStatus> jobs) {
  absl::MutexLock lock(&mutex_);
  jobs_ = std::move(jobs);
}

std::vector<v1::Trial> StatusBoard::Trials() const {
  std::vector<v1::Trial> trials = ledger_.Trials();
  if (!trials.empty()) return trials;
  // Before they are submitted; what earlier runs did is known all the same.
  absl::MutexLock lock(&mutex_);
  for (const v1::Trial& planned : planned_) {
    const absl::StatusOr<v1::Trial> known = ledger_.Find(planned.trial_id());
    trials.push_back(known.ok() ? *known : planned);
  }
  return trials;
}

v1::GetStatusResponse StatusBoard::Look(absl::Time now) const {
  const std::vector<v1::Trial> trials = Trials();
  v1::GetStatusResponse status;
  absl::MutexLock lock(&mutex_);
  status.set_phase(phase_);
  if (labelling_.has_value()) *status.mutable_labelling() = *labelling_;
  *status.mutable_training() = TrainingStatusOf(trials, now);
  *status.mutable_forecast() =
      ForecastOf(labelling_.has_value() ? &*labelling_ : nullptr, trials, now);
  *status.mutable_jobs() = {jobs_.begin(), jobs_.end()};
  return status;
}

grpc::Status StatusBoard::GetStatus(grpc::ServerContext* context,
                                    const v1::GetStatusRequest*,
                                    v1::GetStatusResponse* response) {
  return calls_.Run(context, [&] {
    *response = Look(absl::Now());
    return absl::OkStatus();
  });
}

}  // namespace kodistil
