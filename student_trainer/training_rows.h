// The rows of a training: their splits, and batches of them ready for training
// steps. No LibTorch here.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINING_ROWS_H_
#define KODISTIL_STUDENT_TRAINER_TRAINING_ROWS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "corpus/dataset.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/lane_pool.h"
#include "student_trainer/student.h"

namespace kodistil {

// A teacher's logits of a row, [num_classes], given its index.
using RowLogits = std::function<absl::Span<const float>(uint32_t)>;

// Rows by index, 0 to row_count - 1. The functions are called from several
// threads at once, and what they return must live as long as the training.
struct TrainingRows {
  uint32_t row_count = 0;
  RowTokens tokens;
  std::function<int(uint32_t)> label;  // kNoLabel when there is none
  std::function<Split(uint32_t)> split;
  RowLogits logits;  // null where there is no teacher
};

// INVALID_ARGUMENT naming the row whose tokens or label do not fit the student.
absl::Status CheckRow(const TrainingRows& rows, uint32_t row,
                      const StudentShape& shape);

// Indices by split. Rows without label are left out of valid and test.
struct RowSplits {
  std::vector<uint32_t> train, valid, test;
};

// Checks every row. INVALID_ARGUMENT as CheckRow, when there is nothing to
// train on, or, with `need_labels`, for a training row without one.
absl::StatusOr<RowSplits> SplitRows(const TrainingRows& rows,
                                    const StudentShape& shape,
                                    bool need_labels);

// A batch with all that a step or an evaluation needs.
struct LabelledBatch {
  PackedBatch packed;
  std::vector<int> labels;                   // [B]
  std::vector<std::vector<float>> teachers;  // of each source: [B, classes]
};

// Assembles batches, many at a time, on all lanes. Not thread-safe. Borrows
// everything.
class BatchFeed {
 public:
  // `sources`: the teachers whose logits batches carry.
  BatchFeed(const TrainingRows& rows, std::vector<const RowLogits*> sources,
            LanePool* lanes);

  // Calls visit(assembled) for `batches` in order, some at a time, while it
  // returns true.
  using Visit = absl::FunctionRef<bool(absl::Span<const LabelledBatch>)>;
  void ForChunks(const std::vector<std::vector<uint32_t>>& batches,
                 const Visit& visit);

  // Time spent on assembling so far, on the wall.
  double seconds() const { return seconds_; }

 private:
  void Assemble(const std::vector<uint32_t>& members,
                LabelledBatch* batch) const;

  const TrainingRows& rows_;
  const std::vector<const RowLogits*> sources_;
  LanePool& lanes_;
  std::vector<LabelledBatch> chunk_;
  double seconds_ = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINING_ROWS_H_
