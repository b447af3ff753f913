// Trains students: epochs, validation, checkpoints, test.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINER_H_
#define KODISTIL_STUDENT_TRAINER_TRAINER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "corpus/token_cache.h"
#include "logit_store/snapshot.h"
#include "student_trainer/student.h"
#include "student_trainer/training_loop.h"

namespace kodistil {

// Trains on `data`'s train split, keeps an epoch by the valid split, counts the
// test split once, with the weights kept. `logits` may be null for "ce". Rows
// without label are skipped in the valid and test splits, take part in the soft
// term alone when distilling, and are INVALID_ARGUMENT for "ce". Without valid
// rows the last epoch is kept.
//
// On CPU the same options and data give bit-identical weights on the same
// instruction set, whatever the number of threads, and across a resume. A
// checkpoint that is damaged or of another run is logged and ignored.
//
// INVALID_ARGUMENT for a bad configuration, rows that do not fit it, or no rows
// to train on, OUT_OF_RANGE when the loss is not finite (naming epoch and
// step), CANCELLED by the callback. One training at a time in a process: the
// number of threads is the process's.
absl::StatusOr<TrainOutcome> TrainStudent(const TrainOptions& options,
                                          const TokenizedDataset& data,
                                          const LogitSnapshot* logits,
                                          const ProgressCallback& progress);

// One of several students that are trained together.
struct StudentCell {
  TrainOptions options;
  // May be null for "ce"; students of one teacher share it.
  const LogitSnapshot* logits = nullptr;
  ProgressCallback progress;
};

// The same for several students over the same batches, as TrainPack in
// training_loop.h: each ends on its own and has the outcome that it would have
// alone.
absl::Status TrainStudents(const std::vector<StudentCell>& cells,
                           const TokenizedDataset& data, int threads,
                           const CellDone& done);

// Counts rows of `indices` that the student classifies right. INVALID_ARGUMENT
// naming the row when one has no label or does not fit the shape.
absl::StatusOr<Evaluation> EvaluateStudent(const StudentShape& shape,
                                           const StudentWeights& weights,
                                           const TokenizedDataset& data,
                                           const std::vector<uint32_t>& indices,
                                           int threads);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINER_H_
