// What a trainer counts; docs/metrics.md explains each.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINER_METRICS_H_
#define KODISTIL_STUDENT_TRAINER_TRAINER_METRICS_H_

#include "base/metrics.h"

namespace kodistil {

// Thread-safe; the registry must outlive it.
struct TrainerMetrics {
  explicit TrainerMetrics(MetricRegistry* registry);

  // Of the process.
  static TrainerMetrics& Process();

  // Batches, by all trials together.
  Counter& steps;
  Counter& rows;
  // Forward and backward pass and the weights' update.
  Histogram& step_seconds;
  Counter& epochs;
  // Mean over the rows of the epoch so far, of the trial that came last.
  Gauge& loss;
  // Trials in training now.
  Gauge& running;
  // Trials ended, by how: done, failed, stopped, lost.
  MetricFamily<Counter>& trials;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINER_METRICS_H_
