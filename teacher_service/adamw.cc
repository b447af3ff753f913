#include "teacher_service/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace kodistil {
namespace {

using Tensors = AdamW::Tensors;

std::unique_ptr<Tensors> ZerosLike(const Tensors& parameters) {
  auto result = std::make_unique<Tensors>();
  for (const auto& [name, parameter] : parameters) {
    (*result)[name] = at::zeros_like(parameter);
  }
  return result;
}

double GradientNorm(const Tensors& parameters) {
  double squares = 0;
  for (const auto& [name, parameter] : parameters) {
    const at::Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    const double norm = gradient.norm().item<double>();
    squares += norm * norm;
  }
  return std::sqrt(squares);
}

void CopyAll(const Tensors& from, Tensors* to) {
  for (auto& [name, tensor] : *to) tensor.copy_(from.at(name));
}

}  // namespace

AdamW::AdamW(const AdamWOptions& options, const Tensors& parameters)
    : options_(options),
      parameters_(std::make_unique<Tensors>(parameters)),
      means_(ZerosLike(parameters)),
      squares_(ZerosLike(parameters)) {}

AdamW::~AdamW() = default;

const Tensors& AdamW::means() const { return *means_; }

const Tensors& AdamW::squares() const { return *squares_; }

double AdamW::Step(double learning_rate) {
  const at::NoGradGuard guard;
  const double norm = GradientNorm(*parameters_);
  if (!std::isfinite(norm)) return norm;
  ++steps_;
  // torch.nn.utils.clip_grad_norm_'s formula.
  const double clip =
      options_.max_grad_norm > 0
          ? std::min(1.0, options_.max_grad_norm / (norm + 1e-6))
          : 1.0;
  const double correction1 = 1 - std::pow(options_.beta1, steps_);
  const double correction2 = std::sqrt(1 - std::pow(options_.beta2, steps_));
  for (const auto& [name, parameter] : *parameters_) {
    at::Tensor gradient = parameter.grad();
    if (!gradient.defined()) continue;
    if (clip < 1) gradient.mul_(clip);
    if (parameter.dim() > 1) {
      parameter.mul_(1 - learning_rate * options_.weight_decay);
    }
    at::Tensor mean = means_->at(name);
    at::Tensor square = squares_->at(name);
    mean.mul_(options_.beta1).add_(gradient, 1 - options_.beta1);
    square.mul_(options_.beta2)
        .addcmul_(gradient, gradient, 1 - options_.beta2);
    const at::Tensor scale =
        square.sqrt().div_(correction2).add_(options_.epsilon);
    parameter.addcdiv_(mean, scale, -learning_rate / correction1);
    gradient.zero_();
  }
  return norm;
}

void AdamW::Restore(int64_t steps, const Tensors& means,
                    const Tensors& squares) {
  const at::NoGradGuard guard;
  steps_ = steps;
  CopyAll(means, means_.get());
  CopyAll(squares, squares_.get());
}

double LinearRate(double highest, int64_t step, int64_t warmup_steps,
                  int64_t total_steps) {
  if (step < warmup_steps) {
    return highest * static_cast<double>(step) / warmup_steps;
  }
  const double left = static_cast<double>(total_steps - step);
  return highest *
         std::max(0.0, left / std::max<int64_t>(1, total_steps - warmup_steps));
}

}  // namespace kodistil
