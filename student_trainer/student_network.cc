#include "student_trainer/student_network.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/torch.h>

#include <cmath>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"
#include "student_trainer/lstm_kernels.h"
#include "student_trainer/packed_lstm.h"

namespace kodistil {
namespace {

using torch::Tensor;

// The linear algebra library's own threads would fight with the workers'.
void KeepBlasToOneThread() {
  using SetThreads = void (*)(int);
  auto set = reinterpret_cast<SetThreads>(
      dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set != nullptr) set(1);
}

Tensor FromFloats(const std::vector<float>& values) {
  return torch::from_blob(const_cast<float*>(values.data()),
                          {static_cast<int64_t>(values.size())});
}

std::vector<float> ToVector(const Tensor& tensor) {
  const Tensor cpu = tensor.detach().to(torch::kCPU).contiguous();
  return {cpu.data_ptr<float>(), cpu.data_ptr<float>() + cpu.numel()};
}

}  // namespace

absl::Status SetComputeThreads(int threads) {
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", threads, "; expected 1 to 1024"));
  }
  KeepBlasToOneThread();
  static std::once_flag once;
  std::call_once(once, [] {
    // LibTorch throws when somebody set it before; then it stays.
    CatchTorch("set threads", [] {
      at::set_num_interop_threads(1);
      return absl::OkStatus();
    }).IgnoreError();
  });
  return CatchTorch("set threads", [&] {
    at::set_num_threads(threads);
    return absl::OkStatus();
  });
}

struct StudentNetwork::Impl {
  StudentShape shape;
  torch::Device device = torch::kCPU;
  bool own_kernels = true;
  Tensor parameters;              // [P], every tensor one after another
  Tensor gradient;                // [P]
  Tensor adam_mean, adam_square;  // [P]
  int64_t steps = 0;
  // Views into `parameters`, whose gradients are views into `gradient`.
  std::vector<Tensor> tensors;
  at::Generator dropout_generator = at::detail::createCPUGenerator(/*seed=*/0);

  void Allocate();
  const Tensor& embedding() const { return tensors.front(); }
  const Tensor& linear_weight() const { return tensors[tensors.size() - 2]; }
  const Tensor& linear_bias() const { return tensors.back(); }
  std::vector<Tensor> LayerWeights(int layer) const;

  Tensor Dropout(const Tensor& x, double rate);
  // Last forward and first backward state of every row: [B, 2H].
  Tensor States(const PackedBatch& batch, Tensor x) const;
  Tensor LibraryStates(const PackedBatch& batch, const Tensor& x) const;
  Tensor Embed(const PackedBatch& batch) const;
  Tensor LastIndices(const PackedBatch& batch) const;
  void Adam(const StepOptions& options);
};

void StudentNetwork::Impl::Allocate() {
  const auto options = torch::TensorOptions(torch::kFloat32).device(device);
  const int64_t count = shape.Parameters();
  parameters = torch::zeros({count}, options);
  gradient = torch::zeros({count}, options);
  adam_mean = torch::zeros({count}, options);
  adam_square = torch::zeros({count}, options);
  int64_t offset = 0;
  for (const auto& [name, dims] : shape.Tensors()) {
    int64_t size = 1;
    for (int64_t dim : dims) size *= dim;
    Tensor tensor = parameters.narrow(0, offset, size).view(dims).detach();
    tensor.requires_grad_(true);
    tensor.mutable_grad() = gradient.narrow(0, offset, size).view(dims);
    tensors.push_back(tensor);
    offset += size;
  }
}

std::vector<Tensor> StudentNetwork::Impl::LayerWeights(int layer) const {
  const auto begin = tensors.begin() + 1 + layer * kBiLstmWeights;
  return {begin, begin + kBiLstmWeights};
}

Tensor StudentNetwork::Impl::Dropout(const Tensor& x, double rate) {
  if (rate <= 0) return x;
  // Drawn on the CPU whatever the device: one stream.
  const Tensor mask = torch::empty(x.sizes(), torch::kFloat32)
                          .bernoulli_(1 - rate, dropout_generator)
                          .div_(1 - rate);
  return x * mask.to(device);
}

Tensor StudentNetwork::Impl::Embed(const PackedBatch& batch) const {
  const Tensor ids =
      torch::from_blob(const_cast<int64_t*>(batch.tokens.data()),
                       {static_cast<int64_t>(batch.tokens.size())},
                       torch::kInt64)
          .to(device);
  return torch::embedding(embedding(), ids, /*padding_idx=*/0);  // [N, E]
}

// Where each row's last token lies in the packed order: int64 [B].
Tensor StudentNetwork::Impl::LastIndices(const PackedBatch& batch) const {
  std::vector<int64_t> offsets = {0};
  for (int64_t size : batch.batch_sizes) {
    offsets.push_back(offsets.back() + size);
  }
  Tensor last =
      torch::empty({static_cast<int64_t>(batch.rows.size())}, torch::kInt64);
  for (size_t b = 0; b < batch.rows.size(); ++b) {
    last.data_ptr<int64_t>()[b] =
        offsets[batch.lengths[b] - 1] + static_cast<int64_t>(b);
  }
  return last.to(device);
}

Tensor StudentNetwork::Impl::LibraryStates(const PackedBatch& batch,
                                           const Tensor& x) const {
  const int64_t rows = batch.rows.size();
  const Tensor sizes = torch::from_blob(
      const_cast<int64_t*>(batch.batch_sizes.data()),
      {static_cast<int64_t>(batch.batch_sizes.size())}, torch::kInt64);
  const std::vector<Tensor> weights(tensors.begin() + 1, tensors.end() - 2);
  const Tensor zero = torch::zeros(
      {2 * shape.lstm_num_layers, rows, shape.hidden_dim}, x.options());
  const auto [output, h, c] =
      torch::lstm(x, sizes, {zero, zero}, weights, /*has_biases=*/true,
                  shape.lstm_num_layers, /*dropout=*/0.0, /*train=*/true,
                  /*bidirectional=*/true);
  // h: [2 layers, B, H]; the last two are the top layer's.
  return torch::cat({h[-2], h[-1]}, 1);
}

Tensor StudentNetwork::Impl::States(const PackedBatch& batch, Tensor x) const {
  if (!own_kernels) return LibraryStates(batch, x);
  for (int layer = 0;; ++layer) {
    const std::vector<Tensor> weights = LayerWeights(layer);
    const std::vector<Tensor> h = PackedBiLstm(x, batch.batch_sizes, weights);
    if (layer + 1 == shape.lstm_num_layers) {
      const Tensor forward = h[0].index_select(0, LastIndices(batch));
      const Tensor backward =
          h[1].narrow(0, 0, static_cast<int64_t>(batch.rows.size()));
      return torch::cat({forward, backward}, 1);  // [B, 2H]
    }
    x = torch::cat({h[0], h[1]}, 1);  // [N, 2H]
  }
}

void StudentNetwork::Impl::Adam(const StepOptions& options) {
  ++steps;
  const double correction1 = 1 - std::pow(0.9, steps);
  const double correction2 = 1 - std::pow(0.999, steps);
  if (own_kernels) {
    AdamStep step;
    step.size = parameters.numel();
    step.parameters = parameters.data_ptr<float>();
    step.gradient = gradient.data_ptr<float>();
    step.mean = adam_mean.data_ptr<float>();
    step.square = adam_square.data_ptr<float>();
    step.step_size = options.rate / correction1;
    step.root_correction = std::sqrt(correction2);
    step.decay = 1 - options.rate * options.weight_decay;
    RunAdam(step);
    return;
  }
  torch::NoGradGuard no_grad;
  adam_mean.mul_(0.9).add_(gradient, 0.1);
  adam_square.mul_(0.999).addcmul_(gradient, gradient, 0.001);
  const Tensor root =
      adam_square.sqrt().div_(std::sqrt(correction2)).add_(1e-8);
  parameters.mul_(1 - options.rate * options.weight_decay)
      .addcdiv_(adam_mean, root, -options.rate / correction1);
}

StudentNetwork::StudentNetwork(const StudentShape& shape,
                               std::unique_ptr<Impl> impl)
    : StudentEngine(shape), impl_(std::move(impl)) {}
StudentNetwork::~StudentNetwork() = default;

absl::StatusOr<std::unique_ptr<StudentNetwork>> StudentNetwork::Create(
    const StudentShape& shape, const std::string& device, Kernels kernels) {
  KODISTIL_RETURN_IF_ERROR(shape.Validate());
  using Result = absl::StatusOr<std::unique_ptr<StudentNetwork>>;
  if (device != "cpu" && device.rfind("cuda", 0) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("device is \"", device, "\"; expected cpu or cuda:N"));
  }
  if (device != "cpu" && !torch::cuda::is_available()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device is ", device, ", but this LibTorch finds no CUDA device"));
  }
  return CatchTorch("create the student", [&]() -> Result {
    auto impl = std::make_unique<Impl>();
    impl->shape = shape;
    impl->device = torch::Device(device);
    impl->own_kernels = impl->device.is_cpu() && kernels == Kernels::kAuto;
    impl->Allocate();
    return std::unique_ptr<StudentNetwork>(
        new StudentNetwork(shape, std::move(impl)));
  });
}

absl::StatusOr<StudentNetwork::State> StudentNetwork::GetState() const {
  return CatchTorch("copy the state", [&]() -> absl::StatusOr<State> {
    return State{ToVector(impl_->parameters), ToVector(impl_->adam_mean),
                 ToVector(impl_->adam_square), impl_->steps};
  });
}

absl::Status StudentNetwork::SetState(const State& state) {
  KODISTIL_RETURN_IF_ERROR(CheckState(state));
  return CatchTorch("set the state", [&] {
    torch::NoGradGuard no_grad;
    impl_->parameters.copy_(FromFloats(state.parameters));
    impl_->adam_mean.copy_(FromFloats(state.adam_mean));
    impl_->adam_square.copy_(FromFloats(state.adam_square));
    impl_->steps = state.steps;
    return absl::OkStatus();
  });
}

void StudentNetwork::SeedDropout(uint64_t seed) {
  impl_->dropout_generator.set_current_seed(seed);
}

absl::StatusOr<LossSums> StudentNetwork::TrainStep(const PackedBatch& batch,
                                                   const StepOptions& options,
                                                   LossFunction loss) {
  return CatchTorch("training step", [&]() -> absl::StatusOr<LossSums> {
    Impl& net = *impl_;
    net.gradient.zero_();
    const Tensor x = net.Dropout(net.Embed(batch), options.dropout);  // [N, E]
    const Tensor states = net.Dropout(net.States(batch, x), options.dropout);
    // logits: [B, C]
    const Tensor logits =
        torch::addmm(net.linear_bias(), states, net.linear_weight().t());
    const std::vector<float> values = ToVector(logits);
    Tensor gradient = torch::empty(logits.sizes(), torch::kFloat32);
    const LossSums sums =
        loss(values, absl::MakeSpan(gradient.data_ptr<float>(), values.size()));
    if (!std::isfinite(sums.total)) return sums;
    logits.backward(gradient.to(net.device));
    net.Adam(options);
    return sums;
  });
}

absl::StatusOr<std::vector<float>> StudentNetwork::Logits(
    const PackedBatch& batch) const {
  return CatchTorch("evaluation", [&]() -> absl::StatusOr<std::vector<float>> {
    torch::NoGradGuard no_grad;
    const Impl& net = *impl_;
    const Tensor states = net.States(batch, net.Embed(batch));
    return ToVector(
        torch::addmm(net.linear_bias(), states, net.linear_weight().t()));
  });
}

}  // namespace kodistil
