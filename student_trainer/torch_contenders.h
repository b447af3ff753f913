// Students of plain LibTorch modules, as one would write them in PyTorch: what
// training_benchmark compares with.

#ifndef KODISTIL_STUDENT_TRAINER_TORCH_CONTENDERS_H_
#define KODISTIL_STUDENT_TRAINER_TORCH_CONTENDERS_H_

#include <memory>

#include "student_trainer/batch_sampler.h"
#include "student_trainer/loss.h"
#include "student_trainer/student.h"

namespace kodistil {

// nn.Embedding, nn.LSTM, nn.Linear and optim.Adam. Not thread-safe.
class TorchContender {
 public:
  enum class Batching { kPadded, kPacked };

  TorchContender(const StudentShape& shape, Batching batching);
  ~TorchContender();

  // A training step with LibTorch's own losses (kl_div of two classes).
  // `length`: what rows are padded to; 0 for the longest one.
  void Step(const PackedBatch& batch, int length, absl::Span<const int> labels,
            absl::Span<const float> teacher);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TORCH_CONTENDERS_H_
