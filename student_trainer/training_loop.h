// The training loop over plain rows: epochs, validation, checkpoints, test, of
// one cell or of several that share their batches. What trainer.h runs on a
// tokenised dataset and logit snapshots.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINING_LOOP_H_
#define KODISTIL_STUDENT_TRAINER_TRAINING_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "student_trainer/student.h"
#include "student_trainer/training_cell.h"
#include "student_trainer/training_rows.h"

namespace kodistil {

// As TrainStudent in trainer.h.
absl::StatusOr<TrainOutcome> TrainOnRows(const TrainOptions& options,
                                         const TrainingRows& rows,
                                         const ProgressCallback& progress);

// One of several cells that are trained together.
struct PackCell {
  TrainOptions options;  // its threads are the pack's
  // The teacher's; null for none. Cells with the same pointer share the
  // assembled logits. Must outlive the training.
  const RowLogits* logits = nullptr;
  ProgressCallback progress;
};

// Called once for each cell, when it has ended, from the caller's thread: the
// other cells wait meanwhile.
using CellDone =
    std::function<void(size_t cell, absl::StatusOr<TrainOutcome> outcome)>;

// Trains the cells in lock-step over the same batches. Each has exactly the
// outcome that it would have alone, and ends on its own: neither its failure
// nor its cancellation changes the others. Cells whose checkpoints are of
// different epochs: those behind go first. With `threads` as many cells are
// trained at once, each on one thread; a cell alone uses two. (Cells of the
// engine "torch" take turns.) rows.logits is not used.
//
// INVALID_ARGUMENT, no cell having begun, when batch_size or seed differ, or
// for a bad number of threads.
absl::Status TrainPack(const std::vector<PackCell>& cells,
                       const TrainingRows& rows, int threads,
                       const CellDone& done);

// As EvaluateStudent in trainer.h; by the fast engine.
absl::StatusOr<Evaluation> EvaluateOnRows(const StudentShape& shape,
                                          const StudentWeights& weights,
                                          const TrainingRows& rows,
                                          const std::vector<uint32_t>& indices,
                                          int threads);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINING_LOOP_H_
