// A strict reader of Prometheus' text format 0.0.4, for tests.

#ifndef KODISTIL_BASE_METRICS_TESTING_H_
#define KODISTIL_BASE_METRICS_TESTING_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

struct ParsedMetrics {
  std::map<std::string, std::string> types;  // family -> "counter", ...
  // "name{label=\"value\"}" as it is written -> value.
  std::map<std::string, double> samples;

  // Of a series; fails the test and returns NaN where it is not there.
  double Value(const std::string& series) const;
  // The sum over all series of the name whose labels hold `label`, which is
  // as written: "result=\"ok\"". 0 when there is none.
  double Sum(absl::string_view name, absl::string_view label = "") const;
};

// INVALID_ARGUMENT that names the line for whatever a scraper might trip over
// or we do not want: a family without HELP and TYPE or with two of them, its
// samples apart, a series given twice, unknown escapes, counters not called
// _total, buckets that are not ascending and cumulative or do not end in a +Inf
// equal to _count, no line end at the end. An empty text has no metrics.
absl::StatusOr<ParsedMetrics> ParseMetrics(absl::string_view text);

}  // namespace kodistil

#endif  // KODISTIL_BASE_METRICS_TESTING_H_
