#include "student_trainer/fast_student.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Where masks are applied; each has a stream of its own.
constexpr uint32_t kInputs = 0;
constexpr uint32_t kOutputs = 1;

constexpr size_t kCacheLine = 16;  // in floats
size_t RoundUp(size_t size) {
  return (size + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// The parts of `count` rows of `width` that a direction's thread takes: whole
// groups of 64 floats.
struct Part {
  size_t begin, end;
};
Part PartOf(size_t count, int index) {
  const size_t middle = count / 2 / 64 * 64;
  return index == 0 ? Part{0, middle} : Part{middle, count};
}

}  // namespace

FastStudent::FastStudent(const StudentShape& shape, int threads)
    : StudentEngine(shape),
      lstm_(shape.embedding_dim, shape.hidden_dim, shape.lstm_num_layers),
      lstm_at_(RoundUp(size_t(shape.vocab_size) * shape.embedding_dim)),
      linear_at_(lstm_at_ + RoundUp(lstm_.PackedSize())),
      bias_at_(linear_at_ + size_t(shape.num_classes) * 2 * shape.hidden_dim),
      size_(RoundUp(bias_at_ + shape.num_classes)),
      threads_(threads) {
  for (FloatBuffer* array : {&parameters_, &gradient_, &mean_, &square_}) {
    array->Resize(size_);
  }
}

absl::StatusOr<std::unique_ptr<FastStudent>> FastStudent::Create(
    const StudentShape& shape, int threads) {
  KODISTIL_RETURN_IF_ERROR(shape.Validate());
  return std::unique_ptr<FastStudent>(new FastStudent(shape, threads));
}

void FastStudent::ToPacked(const std::vector<float>& plain,
                           FloatBuffer* packed) const {
  const size_t embedding = size_t(shape().vocab_size) * shape().embedding_dim;
  std::fill_n(packed->data(), size_, 0.0f);
  std::copy_n(plain.data(), embedding, packed->data());
  lstm_.Pack(plain.data() + embedding, packed->data() + lstm_at_);
  std::copy(plain.begin() + embedding + lstm_.PlainSize(), plain.end(),
            packed->data() + linear_at_);
}

std::vector<float> FastStudent::ToPlain(const FloatBuffer& packed) const {
  std::vector<float> plain(shape().Parameters());
  const size_t embedding = size_t(shape().vocab_size) * shape().embedding_dim;
  const size_t linear = embedding + lstm_.PlainSize();
  std::copy_n(packed.data(), embedding, plain.data());
  lstm_.Unpack(packed.data() + lstm_at_, plain.data() + embedding);
  std::copy_n(packed.data() + linear_at_, plain.size() - linear,
              plain.data() + linear);
  return plain;
}

absl::StatusOr<StudentEngine::State> FastStudent::GetState() const {
  return State{ToPlain(parameters_), ToPlain(mean_), ToPlain(square_), steps_};
}

absl::Status FastStudent::SetState(const State& state) {
  KODISTIL_RETURN_IF_ERROR(CheckState(state));
  ToPacked(state.parameters, &parameters_);
  ToPacked(state.adam_mean, &mean_);
  ToPacked(state.adam_square, &square_);
  steps_ = state.steps;
  return absl::OkStatus();
}

void FastStudent::SeedDropout(uint64_t seed) {
  dropout_seed_ = seed;
  dropout_step_ = 0;
}

DropoutStream FastStudent::StreamOf(uint32_t site, double rate) const {
  DropoutStream stream;
  stream.key = static_cast<uint32_t>(MixSeed(dropout_seed_, site));
  stream.step = dropout_step_;
  stream.rate = static_cast<float>(rate);
  return stream;
}

absl::Status FastStudent::CheckTokens(const PackedBatch& batch) const {
  const auto wrong = [this](int64_t token) {
    return static_cast<uint64_t>(token) >= uint64_t(shape().vocab_size);
  };
  // Without a branch for each token.
  bool any = false;
  for (int64_t token : batch.tokens) any |= wrong(token);
  if (!any) return absl::OkStatus();
  for (int64_t token : batch.tokens) {
    if (!wrong(token)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the batch has token ", token, "; expected 0 to below ",
                     shape().vocab_size));
  }
  return absl::OkStatus();
}

void FastStudent::Forward(const PackedBatch& batch, double rate, bool keep,
                          Workspace* work) const {
  work->steps.Reset(batch.batch_sizes);
  const size_t tokens = work->steps.tokens(), rows = work->steps.rows();
  const size_t width = shape().embedding_dim, ends = 2 * shape().hidden_dim;
  float* x = work->x.Resize(tokens * width);
  threads_.Run([&](int part) {
    const auto [begin, end] = PartOf(tokens, part);
    GatherRows(parameters_.data(), batch.tokens.data() + begin, end - begin,
               width, x + begin * width);
    RunDropout(StreamOf(kInputs, rate), begin * width, (end - begin) * width,
               x + begin * width);
  });
  work->ends.Resize(rows * ends);
  lstm_.Forward(parameters_.data() + lstm_at_, work->steps, x, keep,
                &work->lstm, work->ends.data(), &threads_);
  RunDropout(StreamOf(kOutputs, rate), 0, rows * ends, work->ends.data());
  LinearLayer linear;
  linear.rows = rows;
  linear.inputs = ends;
  linear.outputs = shape().num_classes;
  linear.x = work->ends.data();
  linear.weight = parameters_.data() + linear_at_;
  linear.bias = parameters_.data() + bias_at_;
  linear.out = work->logits.Resize(rows * linear.outputs);
  RunLinear(linear);
}

void FastStudent::Backward(const PackedBatch& batch, double rate,
                           Workspace* work) {
  const size_t tokens = work->steps.tokens(), rows = work->steps.rows();
  const size_t width = shape().embedding_dim;
  LinearBackward linear;
  linear.rows = rows;
  linear.inputs = 2 * shape().hidden_dim;
  linear.outputs = shape().num_classes;
  linear.x = work->ends.data();
  linear.weight = parameters_.data() + linear_at_;
  linear.dout = work->dlogits.data();
  linear.dx = work->dends.Resize(rows * linear.inputs);
  linear.dweight = gradient_.data() + linear_at_;
  linear.dbias = gradient_.data() + bias_at_;
  RunLinearBackward(linear);
  RunDropout(StreamOf(kOutputs, rate), 0, rows * linear.inputs, linear.dx);
  lstm_.Backward(parameters_.data() + lstm_at_, work->steps, work->x.data(),
                 linear.dx, &work->lstm, gradient_.data() + lstm_at_,
                 &threads_);
  // The inputs are not needed any more: their gradient takes their place.
  float* dx = work->x.data();
  const size_t stride = lstm_.InputStride();
  threads_.Run([&](int part) {
    const auto [begin, end] = PartOf(tokens, part);
    SumRows(lstm_.InputGradient(work->lstm, 0) + begin * stride,
            lstm_.InputGradient(work->lstm, 1) + begin * stride, end - begin,
            width, stride, dx + begin * width);
    RunDropout(StreamOf(kInputs, rate), begin * width, (end - begin) * width,
               dx + begin * width);
  });
}

void FastStudent::Adam(const PackedBatch& batch, const StepOptions& options) {
  ++steps_;
  const size_t width = shape().embedding_dim;
  threads_.Run([&](int part) {
    AdamUpdate update;
    update.step_size = options.rate / (1 - std::pow(0.9, steps_));
    update.root_correction = std::sqrt(1 - std::pow(0.999, steps_));
    update.decay = 1 - options.rate * options.weight_decay;
    const auto run = [&](size_t begin, size_t end) {
      update.size = end - begin;
      update.parameters = parameters_.data() + begin;
      update.gradient = gradient_.data() + begin;
      update.mean = mean_.data() + begin;
      update.square = square_.data() + begin;
      RunAdamUpdate(update);
    };
    // A thread adds up the gradients of its own rows of the embedding: no
    // meeting of the threads lies between that and their update.
    const size_t middle = shape().vocab_size / 2;
    RowScatter scatter;
    scatter.count = batch.tokens.size();
    scatter.width = width;
    scatter.rows = training_.x.data();
    scatter.ids = batch.tokens.data();
    // Id 0 is padding.
    scatter.first_id = part == 0 ? 1 : std::max<size_t>(1, middle);
    scatter.end_id = part == 0 ? middle : shape().vocab_size;
    scatter.table = gradient_.data();
    RunRowScatter(scatter);
    run(part == 0 ? 0 : middle * width, part == 0 ? middle * width : lstm_at_);
    const auto [begin, end] = PartOf(size_ - lstm_at_, part);
    run(lstm_at_ + begin, lstm_at_ + end);
  });
}

absl::StatusOr<LossSums> FastStudent::TrainStep(const PackedBatch& batch,
                                                const StepOptions& options,
                                                LossFunction loss) {
  KODISTIL_RETURN_IF_ERROR(CheckTokens(batch));
  const NoDenormals no_denormals;
  Forward(batch, options.dropout, /*keep=*/true, &training_);
  const size_t size = training_.logits.size();
  float* gradient = training_.dlogits.Resize(size);
  const LossSums sums = loss(absl::MakeConstSpan(training_.logits.data(), size),
                             absl::MakeSpan(gradient, size));
  if (!std::isfinite(sums.total)) return sums;
  Backward(batch, options.dropout, &training_);
  Adam(batch, options);
  ++dropout_step_;
  return sums;
}

absl::StatusOr<std::vector<float>> FastStudent::Logits(
    const PackedBatch& batch) const {
  KODISTIL_RETURN_IF_ERROR(CheckTokens(batch));
  const NoDenormals no_denormals;
  std::unique_ptr<Workspace> work;
  {
    absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      work = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (work == nullptr) work = std::make_unique<Workspace>();
  Forward(batch, /*rate=*/0, /*keep=*/false, work.get());
  std::vector<float> logits(work->logits.data(),
                            work->logits.data() + work->logits.size());
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(work));
  return logits;
}

}  // namespace kodistil
