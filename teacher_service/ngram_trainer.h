// Trains the n-gram teacher on the training split of a dataset.

#ifndef KODISTIL_TEACHER_SERVICE_NGRAM_TRAINER_H_
#define KODISTIL_TEACHER_SERVICE_NGRAM_TRAINER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/dataset.h"
#include "teacher_service/ngram_model.h"

namespace kodistil {

struct NgramTrainOptions {
  NgramShape shape;
  // N-grams of fewer training rows are left out, 1 or more.
  int min_rows = 2;
  // LIBLINEAR's C: the weight of the loss against the L2 penalty, above 0.
  double cost = 6.0;
  // LIBLINEAR's stopping tolerance: smaller trains longer. Above 0.
  double tolerance = 0.05;
  // Parts of the training rows, each left out by one model, 2 to 100.
  int folds = 5;
  // Models trained at a time; 0 for one per core. The result does not depend
  // on it.
  int threads = 0;
  // Told what happens, a line at a time, from one thread at a time; may be
  // empty.
  std::function<void(const std::string&)> progress;

  absl::Status Validate() const;
};

// Trains on the labelled rows of Split::kTrain. INVALID_ARGUMENT for bad
// options, or when there are fewer labelled training rows than folds or only
// one class among them. The same rows and options give the same parameters.
absl::StatusOr<NgramParameters> TrainNgramModel(
    const Dataset& dataset, const NgramTrainOptions& options);

struct NgramAccuracy {
  int64_t correct = 0;
  int64_t total = 0;
};

// Accuracy on the labelled rows of a split. On the training split it is the
// cross-fitted one.
NgramAccuracy MeasureNgramAccuracy(const NgramScorer& scorer,
                                   const Dataset& dataset, Split split);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_NGRAM_TRAINER_H_
