// Counts what a student's folder gets right on a split of a dataset.

#ifndef KODISTIL_STUDENT_TRAINER_EVALUATOR_H_
#define KODISTIL_STUDENT_TRAINER_EVALUATOR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/dataset_reader.h"
#include "student_trainer/training_loop.h"

namespace kodistil {

struct EvaluatorOptions {
  // The student's folder.
  std::string model;
  DatasetOptions dataset;
  // "train", "valid" or "test".
  std::string split = "test";
  // What computes: "fp32" or "int8", the inference kernel that serving runs, or
  // "torch", LibTorch.
  std::string kernel = "fp32";
  int threads = 1;
  // Where the tokenised dataset is kept; empty for $XDG_CACHE_HOME/kodistil, or
  // ~/.cache/kodistil.
  std::string cache_dir;

  absl::Status Validate() const;
};

// Every row is read without padding: the batch does not matter. `report` may be
// null. INVALID_ARGUMENT, NOT_FOUND or DATA_LOSS naming the file at fault;
// FAILED_PRECONDITION when the split has no rows.
absl::StatusOr<Evaluation> EvaluateFolder(const EvaluatorOptions& options,
                                          ReadReport* report);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_EVALUATOR_H_
