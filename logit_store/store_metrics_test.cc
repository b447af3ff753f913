#include "logit_store/store_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/metrics_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

v1::LogitRow RowOf(int classes) {
  v1::LogitRow row;
  for (int i = 0; i < classes; ++i) row.add_logits(0.5f);
  return row;
}

TEST(StoreMetricsTest, CallsRowsAndBytesAreCounted) {
  MetricRegistry registry;
  StoreMetrics metrics(&registry);
  const std::vector<v1::LogitRow> rows = {RowOf(2), RowOf(2), RowOf(2)};
  metrics.CountPut(absl::OkStatus(), rows);
  metrics.CountPut(absl::FailedPreconditionError("x"), rows);
  metrics.CountPut(absl::UnavailableError("x"), rows);
  metrics.CountPut(absl::DataLossError("x"), rows);
  metrics.CountGot(RowOf(2));
  metrics.CountGot(RowOf(0));
  metrics.CountFailedGet();
  metrics.CountScanned(RowOf(4));
  metrics.SetMissing(7);
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics parsed,
                       ParseMetrics(registry.Text()));
  const std::string prefix = "kodistil_logit_store_";
  EXPECT_EQ(parsed.Value(prefix + "puts_total{result=\"ok\"}"), 1);
  EXPECT_EQ(parsed.Value(prefix + "puts_total{result=\"refused\"}"), 1);
  EXPECT_EQ(parsed.Value(prefix + "puts_total{result=\"failed\"}"), 2);
  EXPECT_EQ(parsed.Value(prefix + "put_rows_total"), 3);
  EXPECT_EQ(parsed.Value(prefix + "gets_total{result=\"found\"}"), 1);
  EXPECT_EQ(parsed.Value(prefix + "gets_total{result=\"missing\"}"), 1);
  EXPECT_EQ(parsed.Value(prefix + "failed_gets_total"), 1);
  EXPECT_EQ(parsed.Value(prefix + "scanned_rows_total"), 1);
  EXPECT_EQ(parsed.Value(prefix + "bytes_total{direction=\"written\"}"),
            3 * 2 * 4);
  EXPECT_EQ(parsed.Value(prefix + "bytes_total{direction=\"read\"}"),
            (2 + 4) * 4);
  EXPECT_EQ(parsed.Value(prefix + "missing_rows"), 7);
}

TEST(StoreMetricsTest, DatabasesNumbersAreAskedFor) {
  MetricRegistry registry;
  absl::Status health;
  bool open = true;
  std::vector<MetricRegistry::Registration> registrations = AddDatabaseMetrics(
      [&] { return health; },
      [&](const std::string& name) -> absl::StatusOr<uint64_t> {
        if (!open) return absl::UnavailableError("opened anew");
        return name == "rocksdb.estimate-num-keys" ? 11 : 0;
      },
      &registry);
  ASSERT_OK_AND_ASSIGN(ParsedMetrics parsed, ParseMetrics(registry.Text()));
  EXPECT_EQ(parsed.Value("kodistil_logit_store_read_only"), 0);
  EXPECT_EQ(parsed.Value("kodistil_rocksdb_estimate_num_keys"), 11);
  EXPECT_EQ(parsed.Value("kodistil_rocksdb_background_errors"), 0);
  health = absl::UnavailableError("disk full");
  open = false;
  ASSERT_OK_AND_ASSIGN(parsed, ParseMetrics(registry.Text()));
  EXPECT_EQ(parsed.Value("kodistil_logit_store_read_only"), 1);
  EXPECT_EQ(parsed.samples.count("kodistil_rocksdb_estimate_num_keys"), 0);
  registrations.clear();
  EXPECT_EQ(registry.Text(), "");
}

}  // namespace
}  // namespace kodistil
