// The training loop over plain rows: epochs, validation, checkpoints, test.
// What trainer.h runs on a tokenised dataset and a logit snapshot.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINING_LOOP_H_
#define KODISTIL_STUDENT_TRAINER_TRAINING_LOOP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "corpus/dataset.h"
#include "kodistil/v1/sweep.pb.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/student.h"

namespace kodistil {

struct TrainOptions {
  v1::StudentConfig config;
  int num_classes = 2;
  // Folder of this trial's checkpoint: written after every epoch, resumed from
  // when it is there. Empty for none.
  std::string checkpoint_dir;
  // "fast" or "torch"; see EngineOptions.
  std::string engine = "fast";
  // "cpu" or "cuda:N".
  std::string device = "cpu";
  int threads = 1;

  absl::Status Validate() const;
};

// The student that a configuration describes.
StudentShape ShapeOf(const v1::StudentConfig& config, int num_classes);

struct TrainProgress {
  int epoch = 1;              // in progress, from 1
  double epoch_fraction = 0;  // 0 to 1
  double train_loss = 0;      // mean over the epoch's rows so far
  // Set once, right after an epoch and its validation; null otherwise.
  const v1::EpochReport* finished = nullptr;
};

// Called after every few steps and after every epoch, from the training thread.
// Returning false stops the training with CANCELLED, the last epoch's
// checkpoint kept.
using ProgressCallback = std::function<bool(const TrainProgress&)>;

struct TrainOutcome {
  v1::TrialResult result;  // without bytes and files
  StudentWeights weights;  // of the epoch kept
};

struct Evaluation {
  uint64_t correct = 0;
  uint64_t total = 0;
  double loss = 0;  // mean cross entropy over rows
  double rows_per_second = 0;
};

// Rows by index, 0 to row_count - 1. What the functions return must live as
// long as the training.
struct TrainingRows {
  uint32_t row_count = 0;
  RowTokens tokens;
  std::function<int(uint32_t)> label;  // kNoLabel when there is none
  std::function<Split(uint32_t)> split;
  // The teacher's, [num_classes]; null where there is no teacher.
  std::function<absl::Span<const float>(uint32_t)> logits;
};

// As TrainStudent in trainer.h.
absl::StatusOr<TrainOutcome> TrainOnRows(const TrainOptions& options,
                                         const TrainingRows& rows,
                                         const ProgressCallback& progress);

// As EvaluateStudent in trainer.h; by the fast engine.
absl::StatusOr<Evaluation> EvaluateOnRows(const StudentShape& shape,
                                          const StudentWeights& weights,
                                          const TrainingRows& rows,
                                          const std::vector<uint32_t>& indices,
                                          int threads);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINING_LOOP_H_
