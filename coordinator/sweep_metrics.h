// What a coordinator counts; docs/metrics.md explains each.

#ifndef KODISTIL_COORDINATOR_SWEEP_METRICS_H_
#define KODISTIL_COORDINATOR_SWEEP_METRICS_H_

#include "base/metrics.h"

namespace kodistil {

// Thread-safe; the registry must outlive it.
struct SweepMetrics {
  explicit SweepMetrics(MetricRegistry* registry);

  // Of the process.
  static SweepMetrics& Process();

  // Attempts ended, by outcome: done, failed, lost, stopped, cancelled.
  MetricFamily<Counter>& attempts;
  Counter& leases;
  // Those among the lost attempts whose worker fell silent.
  Counter& leases_expired;
  // Rows that the store acknowledged, by the teacher's address.
  MetricFamily<Counter>& labelled_rows;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_METRICS_H_
