#include "teacher_service/transformer_ops.h"

#include <ATen/ATen.h>

#include <cmath>
#include <deque>
#include <mutex>

#include "base/hash.h"
#include "teacher_service/transformer_kernels.h"

namespace kodistil {
namespace {

using at::Tensor;

// The vector code's condition: `x` is what it can read.
bool UsesKernels(const Run& run, const Tensor& x) {
  return run.kernels && x.scalar_type() == at::kFloat;
}

const float* DataOrNull(const Tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->data_ptr<float>();
}

// Without the bias. x: [n, in].
Tensor Multiply(const Linear& linear, const Tensor& x) {
  return at::mm(x, linear.input_first ? *linear.weight : linear.weight->t());
}

// x divided by the root of its mean square, in float32 as Hugging Face's
// T5LayerNorm does.
Tensor RootMeanSquareNorm(const Norm& norm, const Tensor& x) {
  const Tensor variance = x.to(at::kFloat).pow(2).mean(-1, /*keepdim=*/true);
  const Tensor scaled = x * at::rsqrt(variance + norm.epsilon);
  return *norm.weight * scaled.to(norm.weight->scalar_type());
}

AddNorm NormTask(const Norm& norm, const Tensor& values) {
  AddNorm task;
  task.rows = values.size(0);
  task.width = values.size(1);
  task.values = values.data_ptr<float>();
  task.weight = norm.weight->data_ptr<float>();
  task.bias = DataOrNull(norm.bias);
  task.epsilon = static_cast<float>(norm.epsilon);
  return task;
}

}  // namespace

struct Parameters::State {
  const std::map<std::string, Tensor>* tensors = nullptr;
  std::deque<Tensor> kept;  // pointers into it stay valid
  std::vector<std::string> taken;
};

Parameters::Parameters(const std::map<std::string, Tensor>& tensors)
    : state_(std::make_unique<State>()) {
  state_->tensors = &tensors;
}

Parameters::~Parameters() = default;

const Tensor* Parameters::Get(const std::string& name) const {
  return &state_->tensors->at(name);
}

Linear Parameters::GetLinear(const std::string& name, bool has_bias) const {
  Linear linear;
  linear.weight = Get(name + ".weight");
  if (has_bias) linear.bias = Get(name + ".bias");
  return linear;
}

Norm Parameters::GetNorm(const std::string& name, double epsilon,
                         bool has_bias) const {
  Norm norm;
  norm.weight = Get(name + ".weight");
  if (has_bias) norm.bias = Get(name + ".bias");
  norm.epsilon = epsilon;
  return norm;
}

Linear Parameters::Fuse(const std::vector<std::string>& names, bool has_bias) {
  std::vector<Tensor> weights, biases;
  for (const std::string& name : names) {
    weights.push_back(Take(name + ".weight"));
    if (has_bias) biases.push_back(Take(name + ".bias"));
  }
  Linear linear;
  linear.weight = Keep(at::cat(weights));
  if (has_bias) linear.bias = Keep(at::cat(biases));
  return linear;
}

const Tensor* Parameters::Keep(const Tensor& made) {
  state_->kept.push_back(made);
  return &state_->kept.back();
}

const Tensor& Parameters::Take(const std::string& name) {
  state_->taken.push_back(name);
  return *Get(name);
}

const std::vector<std::string>& Parameters::taken() const {
  return state_->taken;
}

Tensor IndexTensor(const Run& run, const std::vector<int64_t>& values) {
  const Tensor host =
      at::from_blob(const_cast<int64_t*>(values.data()),
                    {static_cast<int64_t>(values.size())}, at::kLong);
  // On the CPU to() would return the view of values.
  return run.device == "cpu" ? host.clone() : host.to(run.device);
}

Tensor Apply(const Linear& linear, const Tensor& x) {
  const Tensor weight =
      linear.input_first ? linear.weight->t() : *linear.weight;
  return linear.bias == nullptr ? at::linear(x, weight)
                                : at::linear(x, weight, *linear.bias);
}

Tensor ApplyPart(const Linear& linear, const Tensor& x, int64_t first,
                 int64_t size) {
  const Tensor weight = linear.input_first
                            ? linear.weight->narrow(1, first, size).t()
                            : linear.weight->narrow(0, first, size);
  return linear.bias == nullptr
             ? at::linear(x, weight)
             : at::linear(x, weight, linear.bias->narrow(0, first, size));
}

Tensor Apply(const Run& run, const Norm& norm, const Tensor& x) {
  if (UsesKernels(run, x)) {
    const Tensor result = x.clone(at::MemoryFormat::Contiguous);
    RunAddNorm(NormTask(norm, result));
    return result;
  }
  if (norm.bias == nullptr) return RootMeanSquareNorm(norm, x);
  return at::layer_norm(x, norm.weight->sizes(), *norm.weight, *norm.bias,
                        norm.epsilon);
}

Tensor Activate(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kTanh:
      return at::tanh(x);
  }
  return x;
}

Tensor Dropout(const Run& run, const Tensor& x, double rate) {
  if (run.dropout == nullptr || rate <= 0) return x;
  const uint64_t stream =
      MixSeed(run.dropout->seed, run.dropout->step, run.dropout->draws++);
  if (run.device == "cpu") {
    const Tensor mask = at::empty(x.sizes(), at::kFloat);
    RunDropoutMask(stream, static_cast<float>(rate), mask.numel(),
                   mask.data_ptr<float>());
    return x * mask.to(x.scalar_type());
  }
  // A GPU's generator counts from its seed too.
  at::Generator generator = at::globalContext().defaultGenerator(x.device());
  {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(stream);
  }
  return at::dropout(x, rate, /*train=*/true);
}

Tensor ApplyActivated(const Run& run, const Linear& linear,
                      Activation activation, const Tensor& x) {
  if (!UsesKernels(run, x)) return Activate(activation, Apply(linear, x));
  const Tensor result = Multiply(linear, x);
  RunBiasActivation(activation, result.size(0), result.size(1),
                    DataOrNull(linear.bias), result.data_ptr<float>());
  return result;
}

Tensor AddAndNorm(const Run& run, const ResidualStep& step, const Tensor& x,
                  const Tensor& residual, Tensor* sum) {
  if (UsesKernels(run, x)) {
    const Tensor result = Multiply(step.linear, x);
    const Tensor before = residual.contiguous();
    AddNorm task = NormTask(step.norm, result);
    task.value_bias = DataOrNull(step.linear.bias);
    task.residual = before.data_ptr<float>();
    Tensor kept;
    if (sum != nullptr) {
      kept = at::empty_like(result);
      task.sum = kept.data_ptr<float>();
    }
    RunAddNorm(task);
    if (sum != nullptr) *sum = kept;
    return result;
  }
  const Tensor added =
      residual + Dropout(run, Apply(step.linear, x), step.rate);
  if (sum != nullptr) *sum = added;
  return Apply(run, step.norm, added);
}

Tensor Embed(const Run& run, const EmbeddingTables& tables,
             const std::vector<int64_t>& ids,
             const std::vector<int64_t>& positions) {
  const Tensor& words = *tables.words;
  if (UsesKernels(run, words)) {
    const Tensor result = at::empty(
        {static_cast<int64_t>(ids.size()), words.size(1)}, words.options());
    SumEmbeddings task;
    task.tokens = ids.size();
    task.width = words.size(1);
    task.scale = static_cast<float>(tables.scale);
    task.words = words.data_ptr<float>();
    task.ids = ids.data();
    task.positions = DataOrNull(tables.positions);
    task.columns = positions.data();
    task.types = DataOrNull(tables.types);
    task.type_ids = run.rows->type_ids.data();
    task.out = result.data_ptr<float>();
    RunSumEmbeddings(task);
    return result;
  }
  Tensor sum = at::embedding(words, IndexTensor(run, ids));
  if (tables.scale != 1) sum = sum * tables.scale;
  if (tables.types != nullptr) {
    sum = sum +
          at::embedding(*tables.types, IndexTensor(run, run.rows->type_ids));
  }
  if (tables.positions != nullptr) {
    sum = sum + at::embedding(*tables.positions, IndexTensor(run, positions));
  }
  return sum;
}

Tensor SelectRows(const Run& run, const Tensor& x,
                  const std::vector<int64_t>& index) {
  return at::index_select(x, 0, IndexTensor(run, index));
}

}  // namespace kodistil
