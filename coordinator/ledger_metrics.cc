#include "coordinator/ledger_metrics.h"

#include <vector>

namespace kodistil {

MetricRegistry::Registration AddLedgerMetrics(const Ledger* ledger,
                                              MetricRegistry* registry) {
  return registry->AddCallback(
      {"kodistil_sweep_trials", "Trials of the sweep, by state", {"state"}},
      [ledger]() -> std::vector<MetricSample> {
        const Ledger::Counts counts = ledger->counts();
        return {{{"pending"}, static_cast<double>(counts.pending)},
                {{"running"}, static_cast<double>(counts.running)},
                {{"done"}, static_cast<double>(counts.done)},
                {{"failed"}, static_cast<double>(counts.failed)},
                {{"cancelled"}, static_cast<double>(counts.cancelled)}};
      });
}

}  // namespace kodistil
