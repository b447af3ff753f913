#include "base/metrics.h"

#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <system_error>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace kodistil {
namespace {

// The shortest text that reads back as the same number.
std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[32];
  const std::to_chars_result end =
      std::to_chars(std::begin(buffer), std::end(buffer), value);
  CHECK(end.ec == std::errc());
  return std::string(buffer, end.ptr);
}

bool IsName(absl::string_view name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

// Programmer errors: the specs are literals of our own code.
void CheckSpec(const MetricSpec& spec, absl::string_view type) {
  CHECK(IsName(spec.name)) << "'" << spec.name << "' is no name of a metric";
  CHECK_EQ(absl::EndsWith(spec.name, "_total"), type == "counter")
      << spec.name << ": names of counters, and no others, end in _total";
  CHECK(!spec.help.empty()) << spec.name << " has no help";
  for (const std::string& label : spec.labels) {
    CHECK(IsName(label) && !absl::StartsWith(label, "__") && label != "le")
        << spec.name << ": '" << label << "' is no name of a label";
  }
}

std::string SpecText(const MetricSpec& spec, absl::string_view type) {
  return absl::StrCat(type, " ", spec.name, "{",
                      absl::StrJoin(spec.labels, ","), "}: ", spec.help);
}

void AppendSample(absl::string_view name, const std::string& labels,
                  absl::string_view value, std::string* text) {
  absl::StrAppend(text, name, labels, " ", value, "\n");
}

// "{a="1",b="2"}", or "" for none; `le` is a last label where not empty.
std::string LabelText(const std::vector<std::string>& names,
                      const std::vector<std::string>& values,
                      absl::string_view le = "") {
  std::vector<std::string> pairs;
  for (size_t i = 0; i < names.size(); ++i) {
    pairs.push_back(absl::StrCat(
        names[i], "=\"",
        absl::StrReplaceAll(values[i],
                            {{"\\", "\\\\"}, {"\n", "\\n"}, {"\"", "\\\""}}),
        "\""));
  }
  if (!le.empty()) pairs.push_back(absl::StrCat("le=\"", le, "\""));
  return pairs.empty() ? "" : absl::StrCat("{", absl::StrJoin(pairs, ","), "}");
}

void AppendMetric(const MetricSpec& spec,
                  const std::vector<std::string>& values,
                  const Histogram& metric, std::string* text) {
  // Read once: the last bucket and the count are then equal although others
  // observe meanwhile.
  const std::vector<uint64_t> counts = metric.counts();
  uint64_t count = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    count += counts[i];
    const std::string le =
        i < metric.bounds().size() ? NumberText(metric.bounds()[i]) : "+Inf";
    AppendSample(absl::StrCat(spec.name, "_bucket"),
                 LabelText(spec.labels, values, le), absl::StrCat(count), text);
  }
  const std::string labels = LabelText(spec.labels, values);
  AppendSample(absl::StrCat(spec.name, "_sum"), labels,
               NumberText(metric.sum()), text);
  AppendSample(absl::StrCat(spec.name, "_count"), labels, absl::StrCat(count),
               text);
}

void AppendMetric(const MetricSpec& spec,
                  const std::vector<std::string>& values, const Counter& metric,
                  std::string* text) {
  AppendSample(spec.name, LabelText(spec.labels, values),
               absl::StrCat(metric.value()), text);
}

void AppendMetric(const MetricSpec& spec,
                  const std::vector<std::string>& values, const Gauge& metric,
                  std::string* text) {
  AppendSample(spec.name, LabelText(spec.labels, values),
               NumberText(metric.value()), text);
}

template <typename Metric>
std::unique_ptr<Metric> NewMetric(const std::vector<double>& bounds) {
  if constexpr (std::is_same_v<Metric, Histogram>) {
    return std::make_unique<Histogram>(bounds);
  } else {
    return std::make_unique<Metric>();
  }
}

}  // namespace

void Gauge::Add(double by) {
  double value = value_.load(std::memory_order_relaxed);
  while (!value_.compare_exchange_weak(value, value + by,
                                       std::memory_order_relaxed)) {
  }
}

Histogram::Histogram(const std::vector<double>& bounds)
    : bounds_(bounds), counts_(bounds.size() + 1) {
  for (size_t i = 0; i < bounds_.size(); ++i) {
    CHECK(std::isfinite(bounds_[i]) && (i == 0 || bounds_[i - 1] < bounds_[i]))
        << "bound " << i << " of a histogram is " << bounds_[i];
  }
}

void Histogram::Observe(double value) {
  // NaN is in no range with a bound.
  const size_t range =
      std::isnan(value)
          ? bounds_.size()
          : std::lower_bound(bounds_.begin(), bounds_.end(), value) -
                bounds_.begin();
  counts_[range].fetch_add(1, std::memory_order_relaxed);
  sum_.Add(value);
}

std::vector<uint64_t> Histogram::counts() const {
  std::vector<uint64_t> counts;
  for (const std::atomic<uint64_t>& count : counts_) {
    counts.push_back(count.load(std::memory_order_relaxed));
  }
  return counts;
}

uint64_t Histogram::count() const {
  uint64_t total = 0;
  for (const uint64_t count : counts()) total += count;
  return total;
}

template <typename Metric>
MetricFamily<Metric>::MetricFamily(const MetricSpec& spec,
                                   absl::string_view type,
                                   const std::vector<double>& bounds)
    : MetricFamilyBase(spec, type), bounds(bounds) {
  // A metric without labels is shown from the start, as 0.
  if (spec.labels.empty()) With();
}

template <typename Metric>
Metric& MetricFamily<Metric>::With(
    std::initializer_list<absl::string_view> values) {
  return WithValues(std::vector<std::string>(values.begin(), values.end()));
}

template <typename Metric>
Metric& MetricFamily<Metric>::WithValues(std::vector<std::string> values) {
  CHECK_EQ(values.size(), spec.labels.size())
      << "values for the labels of " << spec.name;
  absl::MutexLock lock(&mutex_);
  auto it = metrics_.find(values);
  if (it == metrics_.end()) {
    if (metrics_.size() >= kMaxSeriesPerFamily) {
      values.assign(values.size(), "other");
      LOG_IF(WARNING, metrics_.count(values) == 0)
          << "metric " << spec.name << " has more than " << kMaxSeriesPerFamily
          << " combinations of " << absl::StrJoin(spec.labels, ", ")
          << "; further ones are counted together as \"other\"";
    }
    it = metrics_.try_emplace(std::move(values)).first;
    if (it->second == nullptr) it->second = NewMetric<Metric>(bounds);
  }
  return *it->second;
}

template <typename Metric>
void MetricFamily<Metric>::AppendSamples(std::string* text) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [values, metric] : metrics_) {
    AppendMetric(spec, values, *metric, text);
  }
}

template class MetricFamily<Counter>;
template class MetricFamily<Gauge>;
template class MetricFamily<Histogram>;

// No lock but a callback's own is held while it runs: what it takes may be held
// by others that use the registry.
class MetricRegistry::CallbackFamily final : public internal::MetricFamilyBase {
 public:
  using MetricFamilyBase::MetricFamilyBase;

  Registration Add(Callback callback) {
    auto slot = std::make_shared<Slot>(std::move(callback));
    absl::MutexLock lock(&mutex_);
    slots_.push_back(slot);
    return Registration(slot.get(), [this, slot](void*) { Remove(slot); });
  }

  void AppendSamples(std::string* text) const override {
    std::vector<std::shared_ptr<Slot>> slots;
    {
      absl::MutexLock lock(&mutex_);
      slots = slots_;
    }
    std::map<std::vector<std::string>, double> sums;
    for (const std::shared_ptr<Slot>& slot : slots) {
      absl::MutexLock lock(&slot->mutex);
      if (slot->callback == nullptr) continue;
      for (MetricSample& sample : slot->callback()) {
        CHECK_EQ(sample.labels.size(), spec.labels.size())
            << "values for the labels of " << spec.name;
        sums[std::move(sample.labels)] += sample.value;
      }
    }
    for (const auto& [values, sum] : sums) {
      AppendSample(spec.name, LabelText(spec.labels, values), NumberText(sum),
                   text);
    }
  }

 private:
  struct Slot {
    explicit Slot(Callback callback) : callback(std::move(callback)) {}
    absl::Mutex mutex;  // held while it runs
    Callback callback ABSL_GUARDED_BY(mutex);
  };

  void Remove(const std::shared_ptr<Slot>& slot) {
    {
      absl::MutexLock lock(&slot->mutex);
      slot->callback = nullptr;
    }
    absl::MutexLock lock(&mutex_);
    slots_.erase(std::remove(slots_.begin(), slots_.end(), slot), slots_.end());
  }

  mutable absl::Mutex mutex_;
  std::vector<std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
};

MetricRegistry::MetricRegistry() = default;
MetricRegistry::~MetricRegistry() = default;

MetricRegistry& MetricRegistry::Process() {
  // Never destroyed: threads may count until the process's last moment.
  static MetricRegistry* const registry = new MetricRegistry;
  return *registry;
}

template <typename Metric>
MetricFamily<Metric>& MetricRegistry::Family(
    const MetricSpec& spec, absl::string_view type,
    const std::vector<double>& bounds) {
  CheckSpec(spec, type);
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<internal::MetricFamilyBase>& family = families_[spec.name];
  if (family == nullptr) {
    family = std::make_unique<MetricFamily<Metric>>(spec, type, bounds);
  }
  auto* const typed = dynamic_cast<MetricFamily<Metric>*>(family.get());
  CHECK(typed != nullptr && typed->bounds == bounds &&
        SpecText(typed->spec, typed->type) == SpecText(spec, type))
      << "two kinds of one metric: " << SpecText(family->spec, family->type)
      << " and " << SpecText(spec, type);
  return *typed;
}

MetricFamily<Counter>& MetricRegistry::Counters(const MetricSpec& spec) {
  return Family<Counter>(spec, "counter", {});
}

MetricFamily<Gauge>& MetricRegistry::Gauges(const MetricSpec& spec) {
  return Family<Gauge>(spec, "gauge", {});
}

MetricFamily<Histogram>& MetricRegistry::Histograms(
    const MetricSpec& spec, const std::vector<double>& bounds) {
  return Family<Histogram>(spec, "histogram", bounds);
}

MetricRegistry::Registration MetricRegistry::AddCallback(const MetricSpec& spec,
                                                         Callback callback) {
  const absl::string_view type =
      absl::EndsWith(spec.name, "_total") ? "counter" : "gauge";
  CheckSpec(spec, type);
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<internal::MetricFamilyBase>& family = families_[spec.name];
  if (family == nullptr) family = std::make_unique<CallbackFamily>(spec, type);
  auto* const typed = dynamic_cast<CallbackFamily*>(family.get());
  CHECK(typed != nullptr &&
        SpecText(typed->spec, typed->type) == SpecText(spec, type))
      << "two kinds of one metric: " << SpecText(family->spec, family->type)
      << " and " << SpecText(spec, type);
  return typed->Add(std::move(callback));
}

std::string MetricRegistry::Text() const {
  // Families live as long as the registry.
  std::vector<const internal::MetricFamilyBase*> families;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [name, family] : families_) {
      families.push_back(family.get());
    }
  }
  std::string text;
  for (const internal::MetricFamilyBase* family : families) {
    std::string samples;
    family->AppendSamples(&samples);
    if (samples.empty()) continue;
    const std::string help =
        absl::StrReplaceAll(family->spec.help, {{"\\", "\\\\"}, {"\n", "\\n"}});
    absl::StrAppend(&text, "# HELP ", family->spec.name, " ", help, "\n# TYPE ",
                    family->spec.name, " ", family->type, "\n", samples);
  }
  return text;
}

const std::vector<double>& SecondsBounds() {
  static const auto* const bounds =
      new std::vector<double>{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
  return *bounds;
}

const std::vector<double>& SizeBounds() {
  static const auto* const bounds =
      new std::vector<double>{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  return *bounds;
}

}  // namespace kodistil
