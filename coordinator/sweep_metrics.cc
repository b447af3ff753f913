#include "coordinator/sweep_metrics.h"

#include "absl/strings/string_view.h"

namespace kodistil {

SweepMetrics::SweepMetrics(MetricRegistry* registry)
    : attempts(registry->Counters({"kodistil_sweep_attempts_total",
                                   "Attempts at trials that ended, by outcome",
                                   {"outcome"}})),
      leases(registry
                 ->Counters({"kodistil_sweep_leases_total",
                             "Leases of trials given to workers"})
                 .With()),
      leases_expired(registry
                         ->Counters({"kodistil_sweep_leases_expired_total",
                                     "Leases that ended without a heartbeat"})
                         .With()),
      labelled_rows(registry->Counters({"kodistil_sweep_labelled_rows_total",
                                        "Rows that the logit store "
                                        "acknowledged, by teacher server",
                                        {"teacher"}})) {
  for (const absl::string_view outcome :
       {"done", "failed", "lost", "stopped", "cancelled"}) {
    attempts.With({outcome});
  }
}

SweepMetrics& SweepMetrics::Process() {
  static auto* const metrics = new SweepMetrics(&MetricRegistry::Process());
  return *metrics;
}

}  // namespace kodistil
