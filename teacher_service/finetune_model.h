// The network, the head and the optimiser of a fine-tuning run.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "teacher_service/finetune_folder.h"
#include "teacher_service/finetune_options.h"
#include "teacher_service/finetune_rows.h"
#include "teacher_service/finetune_state.h"

namespace kodistil {

struct FinetuneEvaluation {
  int64_t correct = 0;
  int64_t total = 0;  // rows, or masked tokens
  double loss = 0;    // mean
  double accuracy() const {
    return total == 0 ? -1 : static_cast<double>(correct) / total;
  }
};

// Not thread-safe.
class FinetuneModel {
 public:
  // Errors as Finetune.
  static absl::StatusOr<std::unique_ptr<FinetuneModel>> Create(
      const FinetuneOptions& options, const FinetuneStart& start,
      const FinetuneTokenizer& tokenizer);
  virtual ~FinetuneModel() = default;

  // Adds the gradients of a batch's mean loss, times `weight`; returns the
  // loss. `pass` counts forward passes from 0 and names their random numbers.
  virtual absl::StatusOr<double> Accumulate(
      const std::vector<FinetuneRow>& rows, absl::Span<const uint32_t> batch,
      uint64_t pass, double weight) = 0;
  // One optimiser step; returns the gradients' norm. FAILED_PRECONDITION when
  // it is not finite.
  virtual absl::StatusOr<double> Step(double learning_rate) = 0;
  // With the present weights, without dropout.
  virtual absl::StatusOr<FinetuneEvaluation> Evaluate(
      const std::vector<FinetuneRow>& rows) = 0;

  // Keeps the present weights as the best ones.
  virtual void KeepBest() = 0;
  // Makes the best ones the present ones, if any were kept.
  virtual void RestoreBest() = 0;
  // progress.run and what else `progress` holds is the caller's.
  virtual absl::Status Save(const FinetuneProgress& progress,
                            const std::string& path) = 0;
  // Errors as ReadFinetuneState, and DATA_LOSS when the tensors are not those
  // of this model.
  virtual absl::StatusOr<FinetuneProgress> Load(const std::string& path,
                                                const std::string& run) = 0;
  // model.safetensors of the present weights.
  virtual absl::Status Export(const std::string& path) = 0;

  virtual uint64_t parameters() const = 0;
  virtual const std::string& device() const = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_MODEL_H_
