// Metrics of a process in Prometheus' text format 0.0.4. docs/metrics.md lists
// them all.

#ifndef KODISTIL_BASE_METRICS_H_
#define KODISTIL_BASE_METRICS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kodistil {

// A number that only grows. Thread-safe and wait-free.
class Counter {
 public:
  void Increment(uint64_t by = 1) {
    value_.fetch_add(by, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A number that goes up and down. Thread-safe and lock-free.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by);
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// How often values fell into each of some ranges. Thread-safe and lock-free.
class Histogram {
 public:
  // `bounds`: inclusive upper bounds, ascending, finite; one more range takes
  // what is above them.
  explicit Histogram(const std::vector<double>& bounds);

  void Observe(double value);
  // In seconds.
  void Observe(absl::Duration value) { Observe(absl::ToDoubleSeconds(value)); }

  const std::vector<double>& bounds() const { return bounds_; }
  // Values in each range, bounds().size() + 1 numbers.
  std::vector<uint64_t> counts() const;
  uint64_t count() const;
  double sum() const { return sum_.value(); }

 private:
  const std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;
  Gauge sum_;
};

struct MetricSpec {
  // "kodistil_PART_WHAT_UNIT"; counters, and they alone, end in "_total".
  std::string name;
  // One sentence without a full stop.
  std::string help;
  // Names of labels. Their values must be few: never a trial, a request, a
  // text.
  std::vector<std::string> labels = {};
};

namespace internal {

// What the registry knows of a family. Thread-safe.
class MetricFamilyBase {
 public:
  MetricFamilyBase(const MetricSpec& spec, absl::string_view type)
      : spec(spec), type(type) {}
  virtual ~MetricFamilyBase() = default;
  // Appends the lines of all samples.
  virtual void AppendSamples(std::string* text) const = 0;

  const MetricSpec spec;
  const std::string type;
};

}  // namespace internal

// At most so many label combinations are kept apart; what comes later is
// counted together, with "other" as the value of each label.
inline constexpr size_t kMaxSeriesPerFamily = 200;

// The metrics of one name, one for each combination of label values.
// Thread-safe; lives as long as its registry.
template <typename Metric>
class MetricFamily final : public internal::MetricFamilyBase {
 public:
  // Use MetricRegistry's functions instead.
  MetricFamily(const MetricSpec& spec, absl::string_view type,
               const std::vector<double>& bounds);

  // The metric with these values of spec.labels, in their order; made at its
  // first use. Takes a lock and looks it up: where it is hot, keep the
  // reference, which is valid as long as the registry is.
  Metric& With(std::initializer_list<absl::string_view> values = {});
  // The same for values that are known at run time alone.
  Metric& WithValues(std::vector<std::string> values);

  void AppendSamples(std::string* text) const override;

  const std::vector<double> bounds;  // of histograms

 private:
  mutable absl::Mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<Metric>> metrics_
      ABSL_GUARDED_BY(mutex_);
};

extern template class MetricFamily<Counter>;
extern template class MetricFamily<Gauge>;
extern template class MetricFamily<Histogram>;

// What a callback says of one combination of label values.
struct MetricSample {
  std::vector<std::string> labels;  // values
  double value = 0;
};

// All metrics of a process, or of a test. Thread-safe.
class MetricRegistry {
 public:
  using Callback = std::function<std::vector<MetricSample>()>;
  // Takes the callback away when it is destroyed, after a call in progress.
  using Registration = std::shared_ptr<void>;

  MetricRegistry();
  ~MetricRegistry();

  // The process's own, which its --metrics_port shows.
  static MetricRegistry& Process();

  // Each asks for a family, which the first call makes. CHECK-fails for a name
  // that the format or our rules do not allow, and where an earlier call of the
  // same name differs.
  MetricFamily<Counter>& Counters(const MetricSpec& spec);
  MetricFamily<Gauge>& Gauges(const MetricSpec& spec);
  MetricFamily<Histogram>& Histograms(const MetricSpec& spec,
                                      const std::vector<double>& bounds);

  // Values that are asked for when somebody looks: counters where the name
  // ends in "_total", else gauges. Several callbacks may share a name; equal
  // label values are added up. A registration must not end under a lock that
  // its callback takes. The registry must outlive the registration.
  ABSL_MUST_USE_RESULT Registration AddCallback(const MetricSpec& spec,
                                                Callback callback);

  // The exposition, families ordered by name.
  std::string Text() const;

 private:
  class CallbackFamily;

  template <typename Metric>
  MetricFamily<Metric>& Family(const MetricSpec& spec, absl::string_view type,
                               const std::vector<double>& bounds);

  mutable absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<internal::MetricFamilyBase>> families_
      ABSL_GUARDED_BY(mutex_);
};

// Bounds for calls and steps, 5 ms to 10 s (those of go-grpc-prometheus).
const std::vector<double>& SecondsBounds();
// Powers of two, 1 to 1,024.
const std::vector<double>& SizeBounds();

}  // namespace kodistil

#endif  // KODISTIL_BASE_METRICS_H_
