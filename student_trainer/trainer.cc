#include "student_trainer/trainer.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

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

absl::Status CheckLogits(const StudentCell& cell,
                         const TokenizedDataset& data) {
  const LogitSnapshot& logits = *cell.logits;
  const uint32_t classes = cell.options.num_classes;
  if (logits.row_count() == data.row_count() &&
      logits.num_classes() == classes) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the teacher's logits are [", logits.row_count(), ", ",
                   logits.num_classes(), "]; expected [", data.row_count(),
                   ", ", classes, "] as the dataset"));
}

}  // namespace

absl::Status TrainStudents(const std::vector<StudentCell>& cells,
                           const TokenizedDataset& data, int threads,
                           const CellDone& done) {
  std::map<const LogitSnapshot*, RowLogits> teachers;
  std::vector<PackCell> pack;
  std::vector<size_t> index;  // in `cells`
  for (size_t i = 0; i < cells.size(); ++i) {
    PackCell cell;
    cell.options = cells[i].options;
    cell.progress = cells[i].progress;
    if (const LogitSnapshot* logits = cells[i].logits; logits != nullptr) {
      const absl::Status fits = CheckLogits(cells[i], data);
      if (!fits.ok()) {
        done(i, fits);
        continue;
      }
      RowLogits& teacher = teachers[logits];
      teacher = [logits](uint32_t row) { return logits->Logits(row); };
      cell.logits = &teacher;
    }
    index.push_back(i);
    pack.push_back(std::move(cell));
  }
  return TrainPack(pack, RowsOf(data), threads,
                   [&](size_t i, absl::StatusOr<TrainOutcome> outcome) {
                     done(index[i], std::move(outcome));
                   });
}

absl::StatusOr<TrainOutcome> TrainStudent(const TrainOptions& options,
                                          const TokenizedDataset& data,
                                          const LogitSnapshot* logits,
                                          const ProgressCallback& progress) {
  absl::StatusOr<TrainOutcome> outcome = absl::UnknownError("not trained");
  KODISTIL_RETURN_IF_ERROR(
      TrainStudents({{options, logits, progress}}, data, options.threads,
                    [&](size_t, absl::StatusOr<TrainOutcome> ended) {
                      outcome = std::move(ended);
                    }));
  return outcome;
}

absl::StatusOr<Evaluation> EvaluateStudent(const StudentShape& shape,
                                           const StudentWeights& weights,
                                           const TokenizedDataset& data,
                                           const std::vector<uint32_t>& indices,
                                           int threads) {
  return EvaluateOnRows(shape, weights, RowsOf(data), indices, threads);
}

}  // namespace kodistil
