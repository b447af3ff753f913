// Trains a teacher: fine-tuning for classification, or pretraining by masked
// language modelling.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNER_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/dataset.h"
#include "teacher_service/finetune_options.h"

namespace kodistil {

// A line of the training log.
struct FinetuneRecord {
  // "train", "valid" or "test".
  std::string split = "train";
  int64_t step = 0;  // steps done
  double epoch = 0;  // epochs done, with the part of the one in progress
  double loss = 0;   // mean over rows (of masked tokens) since the last record
  double accuracy = -1;      // -1: not measured
  double learning_rate = 0;  // of "train"
  double gradient_norm = 0;  // of "train": of the last step, before clipping
  double rows_per_second = 0;
};

struct FinetuneHooks {
  // What happens, a line at a time.
  std::function<void(const std::string&)> say;
  // Every ten steps and after each evaluation.
  std::function<void(const FinetuneRecord&, int64_t total_steps)> record;
  // Asked before every step; true stops: the state is kept.
  std::function<bool()> stopped;
};

struct FinetuneReport {
  int64_t steps = 0;
  int64_t resumed_from = 0;  // steps done by an earlier run
  double seconds = 0;        // of training, over all runs
  // Of the weights kept, on the split that chose them (valid, or the last ones
  // where there is none) and on the test rows; -1 where there are none. For
  // masked language modelling the share of tokens guessed.
  double valid_accuracy = -1;
  double test_accuracy = -1;
  int64_t test_correct = 0;
  int64_t test_total = 0;
  int64_t best_step = 0;
  uint64_t parameters = 0;
  bool was_done = false;  // nothing was left to do
};

// Trains, with the best weights in options.output at the end. An interrupted
// run goes on from its last state when it is started again with the same
// options, data and starting weights, and ends in the same weights bit by bit
// on the same machine's CPU. CANCELLED when hooks.stopped said so;
// INVALID_ARGUMENT, NOT_FOUND, DATA_LOSS for bad input; FAILED_PRECONDITION
// when the output folder is another run's or the loss is not finite.
absl::StatusOr<FinetuneReport> Finetune(const FinetuneOptions& options,
                                        const Dataset& dataset,
                                        const FinetuneHooks& hooks);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNER_H_
