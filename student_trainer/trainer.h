// Trains one student: epochs, validation, checkpoints, test.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINER_H_
#define KODISTIL_STUDENT_TRAINER_TRAINER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/token_cache.h"
#include "kodistil/v1/sweep.pb.h"
#include "logit_store/snapshot.h"
#include "student_trainer/student.h"

namespace kodistil {

struct TrainOptions {
  v1::StudentConfig config;
  int num_classes = 2;
  // Folder of this trial's checkpoint: written after every epoch, resumed from
  // when it is there. Empty for none.
  std::string checkpoint_dir;
  // "cpu" or "cuda:N".
  std::string device = "cpu";
  int threads = 1;

  absl::Status Validate() const;
};

struct TrainProgress {
  int epoch = 1;                // in progress, from 1
  double epoch_fraction = 0;    // 0 to 1
  double train_loss = 0;        // mean over the epoch's rows so far
  // Set once, right after an epoch and its validation; null otherwise.
  const v1::EpochReport* finished = nullptr;
};

// Called after every few steps and after every epoch, from the training thread.
// Returning false stops the training with CANCELLED, the last epoch's checkpoint
// kept.
using ProgressCallback = std::function<bool(const TrainProgress&)>;

struct TrainOutcome {
  v1::TrialResult result;  // without bytes and files
  StudentWeights weights;  // of the epoch kept
};

// Trains on `data`'s train split, keeps an epoch by the valid split, counts the
// test split once. `logits` may be null for "ce". On CPU the same options and
// data give bit-identical weights, also across a resume. INVALID_ARGUMENT for a
// bad configuration or no rows to train on, OUT_OF_RANGE when the loss is not
// finite (naming epoch and step), CANCELLED by the callback.
absl::StatusOr<TrainOutcome> TrainStudent(const TrainOptions& options,
                                          const TokenizedDataset& data,
                                          const LogitSnapshot* logits,
                                          const ProgressCallback& progress);

struct Evaluation {
  uint64_t correct = 0;
  uint64_t total = 0;
  double loss = 0;  // mean cross entropy over rows
  double rows_per_second = 0;
};

// Counts rows of `indices` (all must have labels) that the student classifies
// right.
absl::StatusOr<Evaluation> EvaluateStudent(
    const StudentShape& shape, const StudentWeights& weights,
    const TokenizedDataset& data, const std::vector<uint32_t>& indices,
    int threads);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINER_H_
