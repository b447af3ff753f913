// What the logit store counts; docs/metrics.md explains each.

#ifndef KODISTIL_LOGIT_STORE_STORE_METRICS_H_
#define KODISTIL_LOGIT_STORE_STORE_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/metrics.h"
#include "kodistil/v1/logit_store.pb.h"

namespace kodistil {

// Of the service's calls. Thread-safe; the registry must outlive it.
class StoreMetrics {
 public:
  explicit StoreMetrics(MetricRegistry* registry);

  // A call to Put, with the rows that it brought.
  void CountPut(const absl::Status& status,
                absl::Span<const v1::LogitRow> rows);
  // A row that Get found (it has logits) or did not.
  void CountGot(const v1::LogitRow& row);
  // A call to Get that failed.
  void CountFailedGet() { gets_failed_.Increment(); }
  void CountScanned(const v1::LogitRow& row);
  // The answer of Missing.
  void SetMissing(uint64_t rows) { missing_.Set(static_cast<double>(rows)); }

 private:
  MetricFamily<Counter>& puts_;
  Counter& put_rows_;
  Counter& gets_found_;
  Counter& gets_missing_;
  Counter& gets_failed_;
  Counter& scanned_rows_;
  Counter& bytes_written_;
  Counter& bytes_read_;
  Gauge& missing_;
};

// kodistil_logit_store_read_only (1 where `health` is not OK) and the
// database's own numbers, which `property` gets by RocksDB's names, asked for
// when somebody looks; a number that cannot be had is not shown. They stay as
// long as what is returned, and so must what the functions use.
std::vector<MetricRegistry::Registration> AddDatabaseMetrics(
    std::function<absl::Status()> health,
    std::function<absl::StatusOr<uint64_t>(const std::string& name)> property,
    MetricRegistry* registry);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_STORE_METRICS_H_
