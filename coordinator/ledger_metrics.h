// How a sweep's trials stand, for whoever looks at the metrics.

#ifndef KODISTIL_COORDINATOR_LEDGER_METRICS_H_
#define KODISTIL_COORDINATOR_LEDGER_METRICS_H_

#include "base/metrics.h"
#include "coordinator/ledger.h"

namespace kodistil {

// kodistil_sweep_trials{state}, as long as what is returned. The ledger must
// outlive it.
MetricRegistry::Registration AddLedgerMetrics(const Ledger* ledger,
                                              MetricRegistry* registry);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LEDGER_METRICS_H_
