// What Prometheus' client libraries say of every process, and our version.

#ifndef KODISTIL_BASE_PROCESS_METRICS_H_
#define KODISTIL_BASE_PROCESS_METRICS_H_

#include <vector>

#include "base/metrics.h"

namespace kodistil {

// Adds process_cpu_seconds_total, process_start_time_seconds,
// process_{resident,virtual}_memory_bytes, process_{open,max}_fds,
// process_threads (read from /proc when somebody looks; what cannot be read is
// not shown) and kodistil_build_info. They stay as long as what is returned.
std::vector<MetricRegistry::Registration> AddProcessMetrics(
    MetricRegistry* registry);

}  // namespace kodistil

#endif  // KODISTIL_BASE_PROCESS_METRICS_H_
