#include "student_trainer/trainer.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

TrainingRows RowsOf(const TokenizedDataset& data) {
  TrainingRows rows;
  rows.row_count = data.row_count();
  rows.tokens = [&data](uint32_t row) { return data.Tokens(row); };
  rows.label = [&data](uint32_t row) { return data.Label(row); };
  rows.split = [&data](uint32_t row) { return data.SplitOf(row); };
  return rows;
}

}  // namespace

absl::StatusOr<TrainOutcome> TrainStudent(const TrainOptions& options,
                                          const TokenizedDataset& data,
                                          const LogitSnapshot* logits,
                                          const ProgressCallback& progress) {
  TrainingRows rows = RowsOf(data);
  if (logits != nullptr) {
    if (logits->row_count() != data.row_count() ||
        logits->num_classes() != static_cast<uint32_t>(options.num_classes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the teacher's logits are [", logits->row_count(), ", ",
                       logits->num_classes(), "]; expected [", data.row_count(),
                       ", ", options.num_classes, "] as the dataset"));
    }
    rows.logits = [logits](uint32_t row) { return logits->Logits(row); };
  }
  return TrainOnRows(options, rows, progress);
}

absl::StatusOr<Evaluation> EvaluateStudent(const StudentShape& shape,
                                           const StudentWeights& weights,
                                           const TokenizedDataset& data,
                                           const std::vector<uint32_t>& indices,
                                           int threads) {
  return EvaluateOnRows(shape, weights, RowsOf(data), indices, threads);
}

}  // namespace kodistil
