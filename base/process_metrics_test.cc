#include "base/process_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "base/metrics.h"
#include "base/metrics_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

TEST(ProcessMetricsTest, ProcessMetricsAreThoseOfPrometheus) {
  MetricRegistry registry;
  const std::vector<MetricRegistry::Registration> registrations =
      AddProcessMetrics(&registry);
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics parsed,
                       ParseMetrics(registry.Text()));
  // The process began before now, and after the machine was made.
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  EXPECT_LE(parsed.Value("process_start_time_seconds"), now + 1);
  EXPECT_GT(parsed.Value("process_start_time_seconds"), now - 86400);
  EXPECT_GT(parsed.Value("process_cpu_seconds_total"), 0);
  EXPECT_LT(parsed.Value("process_cpu_seconds_total"), 3600);
  EXPECT_GT(parsed.Value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(parsed.Value("process_virtual_memory_bytes"),
            parsed.Value("process_resident_memory_bytes"));
  EXPECT_GE(parsed.Value("process_open_fds"), 3);
  EXPECT_GT(parsed.Value("process_max_fds"), parsed.Value("process_open_fds"));
  EXPECT_GE(parsed.Value("process_threads"), 1);
  EXPECT_EQ(
      parsed.Sum(
          "kodistil_build_info",
          absl::StrCat("version=\"",
                       absl::StripPrefix(VersionString(), "kodistil "), "\"")),
      1);
}

// A descriptor more is one more.
TEST(ProcessMetricsTest, OpenFilesAreCounted) {
  MetricRegistry registry;
  const auto registrations = AddProcessMetrics(&registry);
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics before,
                       ParseMetrics(registry.Text()));
  std::ifstream file("/proc/self/stat");
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics after,
                       ParseMetrics(registry.Text()));
  EXPECT_EQ(after.Value("process_open_fds"),
            before.Value("process_open_fds") + 1);
}

}  // namespace
}  // namespace kodistil
