#include "student_trainer/trainer_metrics.h"

#include <vector>

#include "absl/strings/string_view.h"

namespace kodistil {
namespace {

// A step takes 0.1 ms (Tiny) to seconds (Large with LibTorch).
const std::vector<double>& StepBounds() {
  static const auto* const bounds = new std::vector<double>{
      .0001, .00025, .0005, .001, .0025, .005, .01, .025,
      .05,   .1,     .25,   .5,   1,     2.5,  5,   10};
  return *bounds;
}

}  // namespace

TrainerMetrics::TrainerMetrics(MetricRegistry* registry)
    : steps(registry
                ->Counters({"kodistil_trainer_steps_total",
                            "Batches trained on, by all trials together"})
                .With()),
      rows(registry
               ->Counters({"kodistil_trainer_rows_total",
                           "Rows trained on, by all trials together"})
               .With()),
      step_seconds(registry
                       ->Histograms({"kodistil_trainer_step_seconds",
                                     "Time of one trial's step"},
                                    StepBounds())
                       .With()),
      epochs(registry
                 ->Counters({"kodistil_trainer_epochs_total",
                             "Epochs finished, by all trials together"})
                 .With()),
      loss(registry
               ->Gauges({"kodistil_trainer_loss",
                         "Training loss of the epoch so far, of the trial that "
                         "reported last"})
               .With()),
      running(registry
                  ->Gauges({"kodistil_trainer_running_trials",
                            "Trials leased and not ended"})
                  .With()),
      trials(registry->Counters({"kodistil_trainer_trials_total",
                                 "Trials ended, by outcome",
                                 {"outcome"}})) {
  for (const absl::string_view outcome :
       {"done", "failed", "stopped", "lost"}) {
    trials.With({outcome});
  }
}

TrainerMetrics& TrainerMetrics::Process() {
  static auto* const metrics = new TrainerMetrics(&MetricRegistry::Process());
  return *metrics;
}

}  // namespace kodistil
