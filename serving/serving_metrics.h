// What the student server tells Prometheus.

#ifndef KODISTIL_SERVING_SERVING_METRICS_H_
#define KODISTIL_SERVING_SERVING_METRICS_H_

#include <functional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "serving/classifier.h"

namespace kodistil {

// Texts, batches, the cache, reloads. The classifier must outlive what is
// returned.
std::vector<MetricRegistry::Registration> AddClassifierMetrics(
    Classifier* classifier, MetricRegistry* registry);

// Counts HTTP requests by path and status and their seconds by path: for
// HttpServerOptions::observer. The registry must outlive it.
std::function<void(absl::string_view path, int status, absl::Duration taken)>
HttpObserver(MetricRegistry* registry);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_SERVING_METRICS_H_
