// A fine-tuning run's checkpoint: one safetensors file, written atomically.
// Names LibTorch's tensor without including LibTorch.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_STATE_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_STATE_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace at {
class Tensor;
}  // namespace at

namespace kodistil {

using NamedTensors = std::map<std::string, at::Tensor>;

// Where a run stands after a step.
struct FinetuneProgress {
  // SHA-256 in hexadecimal of all that the weights depend on.
  std::string run;
  int64_t step = 0;  // steps done
  int64_t optimizer_steps = 0;
  double best_metric = 0;  // of `best`; accuracy, or minus the loss
  int64_t best_step = -1;  // -1: nothing evaluated yet
  double seconds = 0;      // of training, over all runs
  double loss_sum = 0;     // of the epoch in progress, over its passes
};

// Tensors of a kind ("parameter", "mean", ...), by parameter.
using StateTensors = std::map<std::string, NamedTensors*>;

// <output>/training_state.safetensors.
std::string FinetuneStatePath(const std::string& output);

// Errors name the file.
absl::Status WriteFinetuneState(const FinetuneProgress& progress,
                                const StateTensors& tensors,
                                const std::string& path);

// Fills the maps of `tensors`, on the CPU. NOT_FOUND when there is no file,
// DATA_LOSS when it is damaged or has other kinds, FAILED_PRECONDITION when it
// is of another run or a newer format; each names the file.
absl::StatusOr<FinetuneProgress> ReadFinetuneState(const std::string& path,
                                                   const std::string& run,
                                                   const StateTensors& tensors);

// A model.safetensors of float32 tensors, as Hugging Face writes it
// ({"format": "pt"}).
absl::Status WriteModelWeights(const NamedTensors& tensors,
                               const std::string& path);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_STATE_H_
