// AdamW and its learning rate, for training teachers. Names LibTorch's tensor
// without including LibTorch.

#ifndef KODISTIL_TEACHER_SERVICE_ADAMW_H_
#define KODISTIL_TEACHER_SERVICE_ADAMW_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace at {
class Tensor;
}  // namespace at

namespace kodistil {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  // Largest L2 norm of all gradients together; 0 for no limit.
  double max_grad_norm = 1.0;
};

// Adam with decoupled weight decay (Loshchilov and Hutter, Decoupled Weight
// Decay Regularization, 2019, algorithm 2), by PyTorch's formulas. Vectors
// (biases and the weights of LayerNorm) are not decayed. Not thread-safe.
// Throws as LibTorch does: call it under CatchTorch.
class AdamW {
 public:
  using Tensors = std::map<std::string, at::Tensor>;

  // The tensors of `parameters` are shared with the caller, who gives them
  // gradients. One without a gradient is left alone.
  AdamW(const AdamWOptions& options, const Tensors& parameters);
  ~AdamW();

  // One step with the gradients there are, which are then zeroed; returns
  // their L2 norm before clipping. Does nothing when that is not finite.
  double Step(double learning_rate);

  int64_t steps() const { return steps_; }
  // Moving means of the gradients and of their squares, by parameter.
  const Tensors& means() const;
  const Tensors& squares() const;
  // Goes on from what an earlier run had; the tensors are copied from, and must
  // have the parameters' names and shapes.
  void Restore(int64_t steps, const Tensors& means, const Tensors& squares);

 private:
  const AdamWOptions options_;
  int64_t steps_ = 0;
  const std::unique_ptr<Tensors> parameters_, means_, squares_;
};

// Rises linearly from 0 over the first `warmup_steps`, then falls linearly to 0
// at `total_steps` (Hugging Face's get_linear_schedule_with_warmup). Of `step`
// from 0.
double LinearRate(double highest, int64_t step, int64_t warmup_steps,
                  int64_t total_steps);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_ADAMW_H_
