#include "student_trainer/bilstm.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "student_trainer/bilstm_kernels.h"

namespace kodistil {
namespace {

// Gradients of weights are summed over so many floats of a gate block at a
// time: they stay in the first-level cache.
constexpr size_t kChunkFloats = 8192;

}  // namespace

void PackedSteps::Reset(absl::Span<const int64_t> batch_sizes) {
  const size_t count = batch_sizes.size();
  rows_ = count == 0 ? 0 : batch_sizes[0];
  tokens_ = 0;
  for (int d = 0; d < 2; ++d) {
    steps_[d].resize(count);
    ends_[d].resize(rows_);
  }
  size_t before = 0;
  for (size_t t = 0; t < count; ++t) {
    const size_t rows = batch_sizes[t];
    const size_t next = t + 1 < count ? batch_sizes[t + 1] : 0;
    steps_[0][t] = {tokens_, rows, before, t == 0 ? 0 : rows};
    // A row whose last token is at t starts here, from zero.
    steps_[1][count - 1 - t] = {tokens_, rows, tokens_ + rows, next};
    for (size_t b = next; b < rows; ++b) ends_[0][b] = tokens_ + b;
    before = tokens_;
    tokens_ += rows;
  }
  for (size_t b = 0; b < rows_; ++b) ends_[1][b] = b;
  for (int d = 0; d < 2; ++d) {
    before_[d].resize(tokens_);
    for (const Step& at : steps_[d]) {
      int32_t* before = before_[d].data() + at.offset;
      std::iota(before, before + at.continued, static_cast<int32_t>(at.before));
      std::fill(before + at.continued, before + at.rows, -1);
    }
  }
}

struct BiLstm::Pass {
  const PackedSteps& steps;
  int layer;
  const float* weights;  // of both directions
  const float* x;        // [N, InputOf(layer)]
};

BiLstm::BiLstm(int input, int hidden, int layers)
    : input_(input), hidden_(hidden), layers_(layers), lanes_(SimdLanes()) {
  for (int layer = 0; layer < layers; ++layer) {
    packed_size_ += 2 * DirectionSize(layer);
    plain_size_ += 2 * 4 * hidden_ * (InputOf(layer) + hidden_ + 2);
  }
}

size_t BiLstm::DirectionSize(int layer) const {
  return Blocks() * (InputOf(layer) + hidden_ + 2) * 4 * lanes_;
}

size_t BiLstm::WeightsAt(int layer, int direction) const {
  size_t at = 0;
  for (int below = 0; below < layer; ++below) at += 2 * DirectionSize(below);
  return at + direction * DirectionSize(layer);
}

// visit(index in PyTorch's order, index in the packed order).
template <class Visit>
void BiLstm::ForEachWeight(Visit visit) const {
  size_t plain = 0;
  for (int layer = 0; layer < layers_; ++layer) {
    const size_t rows = InputOf(layer) + hidden_ + 2;
    // First row and columns of each of a direction's four tensors.
    const size_t parts[4][2] = {{0, InputOf(layer)},
                                {InputOf(layer), hidden_},
                                {InputOf(layer) + hidden_, 1},
                                {InputOf(layer) + hidden_ + 1, 1}};
    for (int direction = 0; direction < 2; ++direction) {
      const size_t base = WeightsAt(layer, direction);
      for (const auto& [first, columns] : parts) {
        for (size_t row = 0; row < 4 * hidden_; ++row) {
          const size_t gate = row / hidden_, unit = row % hidden_;
          const size_t block = base + unit / lanes_ * rows * 4 * lanes_;
          for (size_t k = 0; k < columns; ++k) {
            visit(plain++,
                  block + ((first + k) * 4 + gate) * lanes_ + unit % lanes_);
          }
        }
      }
    }
  }
}

void BiLstm::Pack(const float* plain, float* packed) const {
  std::fill(packed, packed + packed_size_, 0.0f);
  ForEachWeight([&](size_t from, size_t to) { packed[to] = plain[from]; });
}

void BiLstm::Unpack(const float* packed, float* plain) const {
  ForEachWeight([&](size_t to, size_t from) { plain[to] = packed[from]; });
}

void BiLstm::ForwardDirection(const Pass& pass, int direction, bool keep,
                              State::Layer* layer) const {
  const size_t tokens = pass.steps.tokens(), blocks = Blocks();
  State::Direction& s = layer->direction[direction];
  // Without a backward pass each row's c is overwritten by its next one.
  const size_t c_rows = keep ? tokens : pass.steps.rows();
  float* c = s.c.Resize(blocks * c_rows * lanes_);
  float* gates = keep ? s.gates.Resize(blocks * tokens * 4 * lanes_) : nullptr;
  float* tanh_c = keep ? s.tanh_c.Resize(blocks * tokens * lanes_) : nullptr;
  float* h = layer->h.data() + direction * hidden_;
  LstmForward step;
  step.input = InputOf(pass.layer);
  step.hidden = hidden_;
  step.weights = pass.weights + direction * DirectionSize(pass.layer);
  step.x_stride = step.input;
  step.h_stride = 2 * hidden_;
  step.c_panel = c_rows * lanes_;
  step.gates_panel = tokens * 4 * lanes_;
  for (const PackedSteps::Step& at : pass.steps.steps(direction)) {
    step.rows = at.rows;
    step.continued = at.continued;
    step.x = pass.x + at.offset * step.x_stride;
    step.h_before = h + at.before * step.h_stride;
    step.h = h + at.offset * step.h_stride;
    step.c_before = keep ? c + at.before * lanes_ : c;
    step.c = keep ? c + at.offset * lanes_ : c;
    if (keep) {
      step.gates = gates + at.offset * 4 * lanes_;
      step.tanh_c = tanh_c + at.offset * lanes_;
    }
    RunForward(step);
  }
}

void BiLstm::Forward(const float* weights, const PackedSteps& steps,
                     const float* x, bool keep, State* state, float* ends,
                     ThreadPair* threads) const {
  state->layers.resize(layers_);
  for (int i = 0; i < layers_; ++i) {
    State::Layer& layer = state->layers[i];
    layer.h.Resize(steps.tokens() * 2 * hidden_);
    const Pass pass = {steps, i, weights + WeightsAt(i, 0),
                       i == 0 ? x : state->layers[i - 1].h.data()};
    threads->Run([&](int d) {
      ForwardDirection(pass, d, keep, &layer);
      if (i + 1 < layers_) return;
      for (size_t b = 0; b < steps.rows(); ++b) {
        std::memcpy(ends + (2 * b + d) * hidden_,
                    layer.h.data() + (2 * steps.ends(d)[b] + d) * hidden_,
                    hidden_ * sizeof(float));
      }
    });
  }
}

void BiLstm::BackwardThroughTime(const Pass& pass, int direction,
                                 const float* dends,
                                 const float* const dh_above[2],
                                 size_t dh_stride, State::Layer* layer) const {
  const size_t tokens = pass.steps.tokens(), width = Padded(hidden_);
  State::Direction& s = layer->direction[direction];
  float* dh = s.dh_carry.Resize(pass.steps.rows() * width);
  float* dc = s.dc_carry.Resize(pass.steps.rows() * width);
  GatesProduct product;
  product.hidden = product.columns = hidden_;
  product.gates_panel = tokens * 4 * lanes_;
  product.weights = s.w_hh.data();
  product.out = dh;
  product.out_stride = width;
  LstmBackward step;
  step.hidden = hidden_;
  step.gates_panel = tokens * 4 * lanes_;
  step.c_panel = tokens * lanes_;
  step.dh_stride = dh_stride;
  step.dh_carry = dh;
  step.dc_carry = dc;
  size_t carried = 0;
  const auto& steps = pass.steps.steps(direction);
  for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
    // Rows that end here.
    for (size_t b = carried; b < at->rows; ++b) {
      std::fill_n(dc + b * width, width, 0.0f);
      std::fill_n(dh + b * width, width, 0.0f);
      if (dends == nullptr) continue;
      std::memcpy(dh + b * width, dends + (2 * b + direction) * hidden_,
                  hidden_ * sizeof(float));
    }
    step.rows = at->rows;
    step.continued = at->continued;
    step.gates = s.gates.data() + at->offset * 4 * lanes_;
    step.c_before = s.c.data() + at->before * lanes_;
    step.tanh_c = s.tanh_c.data() + at->offset * lanes_;
    for (int d = 0; d < 2; ++d) {
      if (dh_above[d] == nullptr) continue;
      step.dh_above[d] =
          dh_above[d] + at->offset * dh_stride + direction * hidden_;
    }
    RunBackward(step);
    carried = at->continued;
    if (carried == 0) continue;
    product.rows = carried;
    product.gates = step.gates;
    RunProduct(product);
  }
}

// a: [count, stride], the inputs, states and the bias's 1 that gave the gates
// of `count` tokens from `begin`.
void BiLstm::FillRows(const Pass& pass, int direction, size_t begin,
                      size_t count, const float* h, float* a,
                      size_t stride) const {
  const size_t input = InputOf(pass.layer);
  const std::vector<int32_t>& before = pass.steps.before(direction);
  for (size_t n = begin; n < begin + count; ++n, a += stride) {
    std::memcpy(a, pass.x + n * input, input * sizeof(float));
    if (before[n] < 0) {
      std::fill_n(a + input, hidden_, 0.0f);
    } else {
      std::memcpy(a + input, h + before[n] * 2 * hidden_,
                  hidden_ * sizeof(float));
    }
    a[input + hidden_] = 1;
  }
}

void BiLstm::WeightGradients(const Pass& pass, int direction,
                             State::Layer* layer, float* dx,
                             float* gradient) const {
  const size_t tokens = pass.steps.tokens(), input = InputOf(pass.layer);
  const size_t wide = 4 * lanes_, rows = input + hidden_ + 1;
  const size_t chunk = kChunkFloats / wide;
  State::Direction& s = layer->direction[direction];
  WeightGradient sums;
  sums.rows = rows;
  sums.hidden = hidden_;
  // An odd number of cache lines: no two rows share all their cache sets.
  sums.a_stride = (rows + 15) / 16 * 16 + ((rows + 15) / 16 % 2 == 0 ? 16 : 0);
  sums.a = s.a.Resize(chunk * sums.a_stride);
  sums.gates_panel = tokens * wide;
  sums.out = gradient;
  sums.out_panel = (rows + 1) * wide;
  GatesProduct product;
  product.hidden = hidden_;
  product.columns = input;
  product.gates_panel = sums.gates_panel;
  product.weights = s.w_ih.data();
  product.out_stride = Padded(input);
  for (size_t begin = 0; begin < tokens; begin += chunk) {
    sums.tokens = product.rows = std::min(chunk, tokens - begin);
    sums.gates = product.gates = s.gates.data() + begin * wide;
    product.out = dx + begin * product.out_stride;
    FillRows(pass, direction, begin, sums.tokens,
             layer->h.data() + direction * hidden_, s.a.data(), sums.a_stride);
    RunWeightGradient(sums);
    RunProduct(product);
    sums.accumulate = true;
  }
  // Both biases have the same gradient.
  for (size_t p = 0; p < Blocks(); ++p) {
    float* block = gradient + p * sums.out_panel;
    std::memcpy(block + rows * wide, block + (rows - 1) * wide,
                wide * sizeof(float));
  }
}

void BiLstm::Backward(const float* weights, const PackedSteps& steps,
                      const float* x, const float* dends, State* state,
                      float* gradient, ThreadPair* threads) const {
  for (int i = layers_ - 1; i >= 0; --i) {
    const size_t input = InputOf(i);
    const size_t weight_rows = input + hidden_ + 2;
    const Pass pass = {steps, i, weights + WeightsAt(i, 0),
                       i == 0 ? x : state->layers[i - 1].h.data()};
    const bool top = i + 1 == layers_;
    FloatBuffer* dx = state->dx[i % 2];
    for (int d = 0; d < 2; ++d) dx[d].Resize(steps.tokens() * Padded(input));
    const float* above[2] = {nullptr, nullptr};
    for (int d = 0; d < 2 && !top; ++d)
      above[d] = state->dx[(i + 1) % 2][d].data();
    threads->Run([&](int d) {
      State::Layer* layer = &state->layers[i];
      State::Direction& s = layer->direction[d];
      const float* w = pass.weights + d * DirectionSize(i);
      TransposeWeights(hidden_, w, weight_rows, 0, input,
                       s.w_ih.Resize(TransposedWeights(hidden_, input)));
      TransposeWeights(hidden_, w, weight_rows, input, hidden_,
                       s.w_hh.Resize(TransposedWeights(hidden_, hidden_)));
      BackwardThroughTime(pass, d, top ? dends : nullptr, above,
                          Padded(2 * hidden_), layer);
      WeightGradients(pass, d, layer, dx[d].data(), gradient + WeightsAt(i, d));
    });
  }
}

}  // namespace kodistil
