#include "student_trainer/training_rows.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Rows that are assembled at a time: some megabytes, and milliseconds of work
// even for the smallest student.
constexpr size_t kChunkRows = 4096;

double Now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::Status CheckRow(const TrainingRows& rows, uint32_t row,
                      const StudentShape& shape) {
  const absl::Span<const uint16_t> tokens = rows.tokens(row);
  if (tokens.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has no tokens; expected [CLS] and [SEP]"));
  }
  for (uint16_t token : tokens) {
    if (token < shape.vocab_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has token ", token,
                     "; expected below vocab_size, ", shape.vocab_size));
  }
  if (rows.label(row) >= shape.num_classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has label ", rows.label(row),
                     "; expected below num_classes, ", shape.num_classes));
  }
  return absl::OkStatus();
}

absl::StatusOr<RowSplits> SplitRows(const TrainingRows& rows,
                                    const StudentShape& shape,
                                    bool need_labels) {
  RowSplits splits;
  for (uint32_t row = 0; row < rows.row_count; ++row) {
    const Split split = rows.split(row);
    if (split == Split::kNone) continue;
    KODISTIL_RETURN_IF_ERROR(CheckRow(rows, row, shape));
    const bool labelled = rows.label(row) != kNoLabel;
    if (split == Split::kTrain && !labelled && need_labels) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row,
                       " of the train split has no label; expected "
                       "one, as loss_option is ce"));
    }
    if (split == Split::kTrain) splits.train.push_back(row);
    if (split == Split::kValid && labelled) splits.valid.push_back(row);
    if (split == Split::kTest && labelled) splits.test.push_back(row);
  }
  if (splits.train.empty()) {
    return absl::InvalidArgumentError(
        "the dataset has no rows in its train split; expected one or more");
  }
  return splits;
}

BatchFeed::BatchFeed(const TrainingRows& rows,
                     std::vector<const RowLogits*> sources, LanePool* lanes)
    : rows_(rows), sources_(std::move(sources)), lanes_(*lanes) {}

void BatchFeed::Assemble(const std::vector<uint32_t>& members,
                         LabelledBatch* batch) const {
  PackBatch(members, rows_.tokens, &batch->packed);
  batch->labels.clear();
  for (uint32_t row : batch->packed.rows) {
    batch->labels.push_back(rows_.label(row));
  }
  batch->teachers.resize(sources_.size());
  for (size_t i = 0; i < sources_.size(); ++i) {
    std::vector<float>& teacher = batch->teachers[i];
    teacher.clear();
    for (uint32_t row : batch->packed.rows) {
      const absl::Span<const float> logits = (*sources_[i])(row);
      teacher.insert(teacher.end(), logits.begin(), logits.end());
    }
  }
}

void BatchFeed::ForChunks(const std::vector<std::vector<uint32_t>>& batches,
                          const Visit& visit) {
  for (size_t first = 0; first < batches.size();) {
    const double start = Now();
    size_t end = first, rows = 0;
    do {
      rows += batches[end++].size();
    } while (end < batches.size() && rows + batches[end].size() <= kChunkRows);
    const size_t count = end - first;
    if (chunk_.size() < count) chunk_.resize(count);
    lanes_.Run(count,
               [&](size_t i) { Assemble(batches[first + i], &chunk_[i]); });
    seconds_ += Now() - start;
    if (!visit(absl::MakeConstSpan(chunk_).subspan(0, count))) return;
    first = end;
  }
}

}  // namespace kodistil
