// The training of one cell of the grid, step by step: what training_loop.h
// drives, alone or beside others.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINING_CELL_H_
#define KODISTIL_STUDENT_TRAINER_TRAINING_CELL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/predictions.h"
#include "kodistil/v1/sweep.pb.h"
#include "student_trainer/checkpoint.h"
#include "student_trainer/loss.h"
#include "student_trainer/lr_schedule.h"
#include "student_trainer/student.h"
#include "student_trainer/student_engine.h"
#include "student_trainer/training_rows.h"

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
  // Called after every step, and every batch of an evaluation, from a training
  // thread; may be empty.
  std::function<void()> stepped;

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

// Called after every few steps and after every epoch, from a training thread,
// one call at a time for each cell. Returning false stops the training with
// CANCELLED, the last epoch's checkpoint kept.
using ProgressCallback = std::function<bool(const TrainProgress&)>;

struct TrainOutcome {
  v1::TrialResult result;   // without bytes and files
  StudentWeights weights;   // of the epoch kept
  Predictions predictions;  // of the test split
};

struct Evaluation {
  uint64_t correct = 0;
  uint64_t total = 0;
  double loss = 0;  // mean cross entropy over rows
  // The rows counted as correct, in the order of their batches.
  std::vector<uint32_t> right;
  double rows_per_second = 0;
};

// Adds the rows of a batch; `loss` is their sum until somebody divides it.
absl::Status AddToEvaluation(const StudentEngine& engine,
                             const LabelledBatch& batch,
                             Evaluation* evaluation);

// After something has failed, status() says what, and the other calls do
// nothing. Thread-compatible. Borrows rows and logits.
class TrainingCell {
 public:
  // `logits`: null without a teacher; else batches carry them as their teacher
  // number `source`.
  TrainingCell(const TrainOptions& options, const TrainingRows& rows,
               const RowLogits* logits, size_t source,
               ProgressCallback progress);

  // Checks, makes the engine, resumes or starts.
  void Prepare();

  const absl::Status& status() const { return status_; }
  const RowSplits& splits() const { return splits_; }
  // Epochs done, those of earlier attempts included.
  int epochs() const { return static_cast<int>(state_.result.epochs()); }
  bool trained() const {
    return epochs() >= static_cast<int>(options_.config.train_epoch());
  }
  void SetThreads(int threads) { engine_->SetThreads(threads); }

  // The next epoch: begin, a step for each of its batches, an evaluation on the
  // valid split, end.
  void BeginEpoch();
  void Step(const LabelledBatch& batch);
  // `shared_seconds`: of training, spent outside the steps.
  void EndEpoch(double shared_seconds);

  void BeginEvaluation() { evaluation_ = Evaluation(); }
  void Evaluate(const LabelledBatch& batch);

  // Once trained: the weights kept are the engine's from now on.
  void SelectEpoch();
  // After an evaluation on the test split.
  absl::StatusOr<TrainOutcome> Finish();

 private:
  absl::Status TryPrepare();
  std::string RunIdentity() const;
  absl::Status ResumeOrInitialize();
  absl::StatusOr<LossSums> TryStep(const LabelledBatch& batch);
  absl::Status KeepEpoch(const v1::EpochReport& report);
  void Tell(const TrainProgress& progress, const std::string& where);
  void Stepped() const {
    if (options_.stepped) options_.stepped();
  }

  const TrainOptions options_;
  const TrainingRows& rows_;
  const RowLogits* const logits_;
  const size_t source_;
  const ProgressCallback progress_;
  const StudentShape shape_;
  absl::Status status_;
  LossOptions loss_;
  std::unique_ptr<LrSchedule> schedule_;
  std::unique_ptr<StudentEngine> engine_;
  RowSplits splits_;
  // What the last epoch left; its result, run and best are always set.
  Checkpoint state_;

  // Of the epoch in progress.
  LossSums sums_;
  int64_t step_ = 0;
  double rate_ = 0;
  double seconds_ = 0;
  Evaluation evaluation_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINING_CELL_H_
