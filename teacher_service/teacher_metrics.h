// What a teacher server counts; docs/metrics.md explains each.

#ifndef KODISTIL_TEACHER_SERVICE_TEACHER_METRICS_H_
#define KODISTIL_TEACHER_SERVICE_TEACHER_METRICS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/metrics.h"

namespace kodistil {

// Thread-safe; the registry must outlive it.
struct TeacherMetrics {
  explicit TeacherMetrics(MetricRegistry* registry);

  // Of the process.
  static TeacherMetrics& Process();

  // Calls to Infer (interactive) and messages of Label (bulk) whose rows were
  // taken.
  Counter& interactive_requests;
  Counter& bulk_requests;
  // By why: queue_full, draining, streams.
  MetricFamily<Counter>& rejected;
  // Rows that ended without logits, by why.
  void CountFailedRow(const absl::Status& why);
  // Rows.
  Histogram& interactive_queue_seconds;
  Histogram& bulk_queue_seconds;
  // Batches: their count is that of forward passes, their sum that of rows.
  Histogram& batch_size;
  Histogram& compute_seconds;
  Counter& tokens;
  // Rows and tokens taken and not computed yet.
  Gauge& pending_requests;
  Gauge& pending_tokens;
  // Rows that are durable in the store.
  Counter& labelled_rows;

 private:
  MetricFamily<Counter>& failed_rows_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TEACHER_METRICS_H_
