#include "teacher_service/teacher_metrics.h"

#include <string>

namespace kodistil {
namespace {

MetricSpec Requests() {
  return {"kodistil_teacher_requests_total",
          "Requests taken: calls to Infer and submissions of Label, by lane",
          {"lane"}};
}

MetricSpec QueueSeconds() {
  return {"kodistil_teacher_queue_seconds",
          "Time that a row waits for its batch, by lane",
          {"lane"}};
}

constexpr absl::string_view kInteractive = "interactive";
constexpr absl::string_view kBulk = "bulk";

}  // namespace

TeacherMetrics::TeacherMetrics(MetricRegistry* registry)
    : interactive_requests(registry->Counters(Requests()).With({kInteractive})),
      bulk_requests(registry->Counters(Requests()).With({kBulk})),
      rejected(registry->Counters({"kodistil_teacher_rejected_total",
                                   "Calls refused at once, by reason",
                                   {"reason"}})),
      interactive_queue_seconds(
          registry->Histograms(QueueSeconds(), SecondsBounds())
              .With({kInteractive})),
      bulk_queue_seconds(
          registry->Histograms(QueueSeconds(), SecondsBounds()).With({kBulk})),
      batch_size(registry
                     ->Histograms({"kodistil_teacher_batch_size",
                                   "Rows of a forward pass"},
                                  SizeBounds())
                     .With()),
      compute_seconds(registry
                          ->Histograms({"kodistil_teacher_compute_seconds",
                                        "Time of a forward pass"},
                                       SecondsBounds())
                          .With()),
      tokens(registry
                 ->Counters({"kodistil_teacher_tokens_total",
                             "Tokens of the rows computed"})
                 .With()),
      pending_requests(registry
                           ->Gauges({"kodistil_teacher_pending_requests",
                                     "Rows taken and not computed yet"})
                           .With()),
      pending_tokens(registry
                         ->Gauges({"kodistil_teacher_pending_tokens",
                                   "Tokens of the rows that are pending"})
                         .With()),
      labelled_rows(registry
                        ->Counters({"kodistil_teacher_labelled_rows_total",
                                    "Rows whose logits the store holds"})
                        .With()),
      failed_rows_(registry->Counters({"kodistil_teacher_failed_rows_total",
                                       "Rows without logits, by reason",
                                       {"reason"}})) {
  for (const absl::string_view reason : {"queue_full", "draining", "streams"}) {
    rejected.With({reason});
  }
  for (const absl::string_view reason : {"deadline", "cancelled", "model"}) {
    failed_rows_.With({reason});
  }
}

TeacherMetrics& TeacherMetrics::Process() {
  static auto* const metrics = new TeacherMetrics(&MetricRegistry::Process());
  return *metrics;
}

void TeacherMetrics::CountFailedRow(const absl::Status& why) {
  absl::string_view reason = "model";
  if (absl::IsDeadlineExceeded(why)) reason = "deadline";
  if (absl::IsCancelled(why) || absl::IsUnavailable(why)) reason = "cancelled";
  failed_rows_.With({reason}).Increment();
}

}  // namespace kodistil
