#include "serving/serving_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace kodistil {

std::vector<MetricRegistry::Registration> AddClassifierMetrics(
    Classifier* classifier, MetricRegistry* registry) {
  std::vector<MetricRegistry::Registration> all;
  const auto add = [&](const char* name, const char* help,
                       std::function<double()> value) {
    all.push_back(
        registry->AddCallback({name, help}, [value = std::move(value)] {
          return std::vector<MetricSample>{{{}, value()}};
        }));
  };
  add("kodistil_serving_texts_total", "Texts answered, from the cache too",
      [=] { return classifier->counts().texts; });
  add("kodistil_serving_batches_total", "Runs of the inference kernel",
      [=] { return classifier->counts().batches; });
  add("kodistil_serving_rows_total", "Rows in the runs of the inference kernel",
      [=] { return classifier->counts().rows; });
  add("kodistil_serving_refused_total",
      "Large requests for which the queue had no place",
      [=] { return classifier->counts().refused; });
  add("kodistil_serving_cache_hits_total", "Texts found in the answer cache",
      [=] { return classifier->cache().hits(); });
  add("kodistil_serving_cache_misses_total",
      "Texts not found in the answer cache",
      [=] { return classifier->cache().misses(); });
  add("kodistil_serving_cache_rows", "Answers in the answer cache",
      [=] { return classifier->cache().rows(); });
  add("kodistil_serving_model_reloads_total",
      "Models loaded anew since their folder had changed",
      [=] { return classifier->models()->reloads(); });
  add("kodistil_serving_model_reload_failures_total",
      "Changed folders that could not be loaded",
      [=] { return classifier->models()->failed_reloads(); });
  return all;
}

std::function<void(absl::string_view, int, absl::Duration)> HttpObserver(
    MetricRegistry* registry) {
  MetricFamily<Counter>* const requests = &registry->Counters(
      {"kodistil_serving_http_requests_total",
       "HTTP requests that were answered, the path empty where there is no "
       "such page",
       {"path", "code"}});
  // A row takes some ten microseconds.
  MetricFamily<Histogram>* const seconds =
      &registry->Histograms({"kodistil_serving_http_seconds",
                             "Time from a request's last byte to its answer",
                             {"path"}},
                            {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                             0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
  return [=](absl::string_view path, int status, absl::Duration taken) {
    requests->With({path, absl::StrCat(status)}).Increment();
    seconds->With({path}).Observe(taken);
  };
}

}  // namespace kodistil
