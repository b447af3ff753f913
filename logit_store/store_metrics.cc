#include "logit_store/store_metrics.h"

#include "absl/strings/string_view.h"

namespace kodistil {
namespace {

size_t LogitBytes(const v1::LogitRow& row) {
  return sizeof(float) * row.logits_size();
}

absl::string_view ResultOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return "ok";
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return "refused";
    default:
      return "failed";
  }
}

struct Property {
  absl::string_view metric;
  absl::string_view help;
  absl::string_view name;  // RocksDB's
};

constexpr Property kProperties[] = {
    {"kodistil_rocksdb_is_write_stopped", "1 while writes wait for compaction",
     "rocksdb.is-write-stopped"},
    {"kodistil_rocksdb_actual_delayed_write_rate",
     "Bytes per second that writes are held down to; 0 for no limit",
     "rocksdb.actual-delayed-write-rate"},
    {"kodistil_rocksdb_background_errors",
     "Background errors since the database was opened",
     "rocksdb.background-errors"},
    {"kodistil_rocksdb_estimate_num_keys", "Keys, roughly",
     "rocksdb.estimate-num-keys"},
    {"kodistil_rocksdb_live_sst_files_size_bytes", "Size of the table files",
     "rocksdb.live-sst-files-size"},
    {"kodistil_rocksdb_all_mem_tables_size_bytes", "Size of the memtables",
     "rocksdb.cur-size-all-mem-tables"},
    {"kodistil_rocksdb_compaction_pending", "1 while a compaction waits",
     "rocksdb.compaction-pending"},
    {"kodistil_rocksdb_num_running_compactions", "Compactions under way",
     "rocksdb.num-running-compactions"},
};

}  // namespace

StoreMetrics::StoreMetrics(MetricRegistry* registry)
    : puts_(registry->Counters({"kodistil_logit_store_puts_total",
                                "Calls to Put, by result",
                                {"result"}})),
      put_rows_(registry
                    ->Counters({"kodistil_logit_store_put_rows_total",
                                "Rows of logits made durable"})
                    .With()),
      gets_found_(registry
                      ->Counters({"kodistil_logit_store_gets_total",
                                  "Rows asked for by Get, by result",
                                  {"result"}})
                      .With({"found"})),
      gets_missing_(registry
                        ->Counters({"kodistil_logit_store_gets_total",
                                    "Rows asked for by Get, by result",
                                    {"result"}})
                        .With({"missing"})),
      gets_failed_(registry
                       ->Counters({"kodistil_logit_store_failed_gets_total",
                                   "Calls to Get that failed"})
                       .With()),
      scanned_rows_(registry
                        ->Counters({"kodistil_logit_store_scanned_rows_total",
                                    "Rows of logits sent by Scan"})
                        .With()),
      bytes_written_(registry
                         ->Counters({"kodistil_logit_store_bytes_total",
                                     "Bytes of logits, by direction",
                                     {"direction"}})
                         .With({"written"})),
      bytes_read_(registry
                      ->Counters({"kodistil_logit_store_bytes_total",
                                  "Bytes of logits, by direction",
                                  {"direction"}})
                      .With({"read"})),
      missing_(registry
                   ->Gauges({"kodistil_logit_store_missing_rows",
                             "Rows without logits in the set that Missing was "
                             "last asked about"})
                   .With()) {
  for (const absl::string_view result : {"ok", "refused", "failed"}) {
    puts_.With({result});
  }
}

void StoreMetrics::CountPut(const absl::Status& status,
                            absl::Span<const v1::LogitRow> rows) {
  puts_.With({ResultOf(status)}).Increment();
  if (!status.ok()) return;
  put_rows_.Increment(rows.size());
  size_t bytes = 0;
  for (const v1::LogitRow& row : rows) bytes += LogitBytes(row);
  bytes_written_.Increment(bytes);
}

void StoreMetrics::CountGot(const v1::LogitRow& row) {
  (row.logits_size() > 0 ? gets_found_ : gets_missing_).Increment();
  bytes_read_.Increment(LogitBytes(row));
}

void StoreMetrics::CountScanned(const v1::LogitRow& row) {
  scanned_rows_.Increment();
  bytes_read_.Increment(LogitBytes(row));
}

std::vector<MetricRegistry::Registration> AddDatabaseMetrics(
    std::function<absl::Status()> health,
    std::function<absl::StatusOr<uint64_t>(const std::string& name)> property,
    MetricRegistry* registry) {
  std::vector<MetricRegistry::Registration> registrations;
  registrations.push_back(registry->AddCallback(
      {"kodistil_logit_store_read_only", "1 while the store takes no writes"},
      [health]() -> std::vector<MetricSample> {
        return {{{}, health().ok() ? 0.0 : 1.0}};
      }));
  for (const Property& known : kProperties) {
    registrations.push_back(registry->AddCallback(
        {std::string(known.metric), std::string(known.help)},
        [property,
         name = std::string(known.name)]() -> std::vector<MetricSample> {
          const absl::StatusOr<uint64_t> value = property(name);
          if (!value.ok()) return {};
          return {{{}, static_cast<double>(*value)}};
        }));
  }
  return registrations;
}

}  // namespace kodistil
