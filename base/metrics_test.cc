#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/metrics_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, TextIsThatOfTheFormat) {
  MetricRegistry registry;
  registry.Gauges({"b_level", "A back\\slash and\na line"}).With().Set(0.1);
  MetricFamily<Counter>& puts =
      registry.Counters({"a_puts_total", "Puts", {"result", "where"}});
  puts.With({"ok", "여기"}).Increment(3);
  puts.With({"a\"b\\c\nd", ""}).Increment();
  Histogram& seconds =
      registry.Histograms({"c_seconds", "Time"}, {0.5, 2}).With();
  seconds.Observe(0.5);
  seconds.Observe(absl::Milliseconds(750));
  seconds.Observe(3);
  EXPECT_EQ(registry.Text(),
            "# HELP a_puts_total Puts\n"
            "# TYPE a_puts_total counter\n"
            "a_puts_total{result=\"a\\\"b\\\\c\\nd\",where=\"\"} 1\n"
            "a_puts_total{result=\"ok\",where=\"여기\"} 3\n"
            "# HELP b_level A back\\\\slash and\\na line\n"
            "# TYPE b_level gauge\n"
            "b_level 0.1\n"
            "# HELP c_seconds Time\n"
            "# TYPE c_seconds histogram\n"
            "c_seconds_bucket{le=\"0.5\"} 1\n"
            "c_seconds_bucket{le=\"2\"} 2\n"
            "c_seconds_bucket{le=\"+Inf\"} 3\n"
            "c_seconds_sum 4.25\n"
            "c_seconds_count 3\n");
  EXPECT_OK(ParseMetrics(registry.Text()));
}

TEST(MetricsTest, FamiliesWithoutSamplesAreNotShown) {
  MetricRegistry registry;
  registry.Counters({"a_total", "A", {"result"}});
  EXPECT_EQ(registry.Text(), "");
  registry.Counters({"b_total", "B"});
  EXPECT_THAT(registry.Text(), HasSubstr("\nb_total 0\n"));
}

TEST(MetricsTest, NumbersReadBackAsTheSame) {
  MetricRegistry registry;
  for (const double value :
       {0.0, -1.5, 0.1, 1.0 / 3, 1e300, 5e-324, 1e15 + 1,
        std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(), std::nan("")}) {
    registry.Gauges({"a", "A"}).With().Set(value);
    ASSERT_OK_AND_ASSIGN(const ParsedMetrics parsed,
                         ParseMetrics(registry.Text()));
    const double read = parsed.Value("a");
    EXPECT_TRUE(read == value || (std::isnan(read) && std::isnan(value)))
        << registry.Text();
  }
  registry.Counters({"b_total", "B"})
      .With()
      .Increment(std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(registry.Text(), HasSubstr("b_total 18446744073709551615\n"));
}

TEST(MetricsTest, NanIsInTheLastRangeOfAHistogram) {
  Histogram histogram({1, 2});
  histogram.Observe(std::nan(""));
  histogram.Observe(-1);
  EXPECT_THAT(histogram.counts(), ::testing::ElementsAre(1, 0, 1));
  EXPECT_TRUE(std::isnan(histogram.sum()));
}

TEST(MetricsTest, NothingIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 20000;
  MetricRegistry registry;
  MetricFamily<Counter>& counters =
      registry.Counters({"a_total", "A", {"parity"}});
  Gauge& gauge = registry.Gauges({"b", "B"}).With();
  Histogram& histogram = registry.Histograms({"c", "C"}, SizeBounds()).With();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTimes; ++i) {
        counters.With({t % 2 == 0 ? "even" : "odd"}).Increment();
        gauge.Add(i % 2 == 0 ? 2 : -1);
        histogram.Observe(i % 4);
        // Every look in between is whole.
        if (i % 1000 == 0) {
          EXPECT_OK(ParseMetrics(registry.Text()));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics parsed,
                       ParseMetrics(registry.Text()));
  EXPECT_EQ(parsed.Value("a_total{parity=\"even\"}"), 2 * kTimes);
  EXPECT_EQ(parsed.Value("a_total{parity=\"odd\"}"), 2 * kTimes);
  EXPECT_EQ(parsed.Value("b"), kThreads * kTimes / 2);
  EXPECT_EQ(parsed.Value("c_count"), kThreads * kTimes);
  EXPECT_EQ(parsed.Value("c_sum"), kThreads * kTimes * 1.5);
}

TEST(MetricsTest, LabelsAreBounded) {
  MetricRegistry registry;
  MetricFamily<Counter>& family =
      registry.Counters({"a_total", "A", {"x", "y"}});
  constexpr int kMany = 10 * kMaxSeriesPerFamily;
  for (int i = 0; i < kMany; ++i) {
    family.With({absl::StrCat(i), "same"}).Increment();
  }
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics parsed,
                       ParseMetrics(registry.Text()));
  EXPECT_EQ(parsed.samples.size(), kMaxSeriesPerFamily + 1);
  EXPECT_EQ(parsed.Value("a_total{x=\"other\",y=\"other\"}"),
            kMany - static_cast<int>(kMaxSeriesPerFamily));
  EXPECT_EQ(parsed.Value("a_total{x=\"0\",y=\"same\"}"), 1);
}

TEST(MetricsTest, CallbacksAreAskedAndAddedUpUntilTheyEnd) {
  MetricRegistry registry;
  const MetricSpec spec = {"a_rows", "Rows", {"teacher"}};
  double rows = 5;
  auto first = registry.AddCallback(spec, [&rows] {
    return std::vector<MetricSample>{{{"x"}, rows}, {{"y"}, 1}};
  });
  auto second = registry.AddCallback(spec, [] {
    return std::vector<MetricSample>{{{"x"}, 10}};
  });
  EXPECT_THAT(registry.Text(), HasSubstr("a_rows{teacher=\"x\"} 15\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("a_rows{teacher=\"y\"} 1\n"));
  rows = 6;
  second.reset();
  EXPECT_THAT(registry.Text(), HasSubstr("a_rows{teacher=\"x\"} 6\n"));
  first.reset();
  EXPECT_EQ(registry.Text(), "");
  auto third = registry.AddCallback({"b_total", "B"}, [] {
    return std::vector<MetricSample>{{{}, 7}};
  });
  EXPECT_THAT(registry.Text(), HasSubstr("# TYPE b_total counter\nb_total 7"));
}

// Whoever holds a lock that a callback takes may make a metric meanwhile. (The
// order of locks is what Abseil's deadlock detection ends a process for.)
TEST(MetricsTest, CallbacksTakeLocksUnderWhichMetricsAreMade) {
  MetricRegistry registry;
  absl::Mutex mutex;
  const auto registration = registry.AddCallback({"a", "A"}, [&mutex] {
    absl::MutexLock lock(&mutex);
    return std::vector<MetricSample>{{{}, 1}};
  });
  {
    absl::MutexLock lock(&mutex);
    registry.Counters({"b_total", "B"}).With().Increment();
  }
  EXPECT_THAT(registry.Text(), HasSubstr("\na 1\n"));
  absl::MutexLock lock(&mutex);
  registry.Counters({"c_total", "C"}).With().Increment();
}

TEST(MetricsTest, EqualSpecsAreOneFamily) {
  MetricRegistry registry;
  Counter& first = registry.Counters({"a_total", "A"}).With();
  EXPECT_EQ(&first, &registry.Counters({"a_total", "A"}).With());
}

// What the parser of our tests refuses.
class MetricsParserTest : public ::testing::TestWithParam<const char*> {};

TEST_P(MetricsParserTest, RefusesWhatAScraperMightTripOver) {
  EXPECT_THAT(ParseMetrics(GetParam()),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::_))
      << GetParam();
}

#define HEAD_A "# HELP a A\n# TYPE a gauge\n"
#define HEAD_H "# HELP h H\n# TYPE h histogram\n"
INSTANTIATE_TEST_SUITE_P(
    All, MetricsParserTest,
    ::testing::Values(
        HEAD_A "a 1", "a 1\n", "# TYPE a gauge\na 1\n", "# HELP a A\na 1\n",
        HEAD_A, HEAD_A "a 1\n" HEAD_A "a{x=\"1\"} 1\n", HEAD_A "a 1\na 2\n",
        HEAD_A "a 1\n\n", HEAD_A "b 1\n", HEAD_A "a 1\r\n", HEAD_A "a  1\n",
        HEAD_A "a 1 \n", HEAD_A "a inf\n", HEAD_A "a 1x\n",
        HEAD_A "a{x=\"1\",x=\"2\"} 1\n", HEAD_A "a{x=\"\\t\"} 1\n",
        HEAD_A "a{x=\"1} 1\n", HEAD_A "a{x=1} 1\n", HEAD_A "a{} 1\n",
        HEAD_A "a{x=\"1\"}1\n", "# HELP a A\\t\n# TYPE a gauge\na 1\n",
        "# HELP a A\n# TYPE b gauge\na 1\n",
        "# HELP a A\n# TYPE a counter\na 1\n",
        "# HELP a_total A\n# TYPE a_total counter\na_total -1\n",
        HEAD_A "a 1\n# HELP b B\n# TYPE b gauge\nb 1\na{x=\"1\"} 1\n",
        HEAD_H "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        HEAD_H "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
        HEAD_H "h_bucket{le=\"+Inf\"} 1\nh_sum 1\n",
        HEAD_H "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n"
               "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        HEAD_H "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\n"
               "h_count 1\n"));
#undef HEAD_A
#undef HEAD_H

TEST(MetricsDeathTest, MistakesOfTheProgramEndIt) {
  MetricRegistry registry;
  registry.Counters({"a_total", "A", {"x"}});
  EXPECT_DEATH(registry.Counters({"a_total", "B", {"x"}}), "two kinds");
  EXPECT_DEATH(registry.Counters({"a_total", "A", {"y"}}), "two kinds");
  EXPECT_DEATH(registry.Counters({"a_total", "A", {"x"}}).With(), "values");
  EXPECT_DEATH(registry.Counters({"a", "A"}), "end in _total");
  EXPECT_DEATH(registry.Gauges({"b_total", "A"}), "end in _total");
  EXPECT_DEATH(registry.Gauges({"b-c", "A"}), "no name of a metric");
  EXPECT_DEATH(registry.Gauges({"1b", "A"}), "no name of a metric");
  EXPECT_DEATH(registry.Gauges({"b", "A", {"le"}}), "no name of a label");
  EXPECT_DEATH(registry.Gauges({"b", ""}), "no help");
  EXPECT_DEATH(registry.Histograms({"b", "B"}, {2, 1}), "bound 1");
}

}  // namespace
}  // namespace kodistil
