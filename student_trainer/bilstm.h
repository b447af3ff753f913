// A stack of bidirectional LSTM layers over packed batches, forward and
// backward, on CPU. No LibTorch here.

#ifndef KODISTIL_STUDENT_TRAINER_BILSTM_H_
#define KODISTIL_STUDENT_TRAINER_BILSTM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "student_trainer/float_buffer.h"
#include "student_trainer/thread_pair.h"

namespace kodistil {

// Where the tokens of a packed batch (batch_sampler.h) lie for each direction.
class PackedSteps {
 public:
  // `rows` tokens from `offset`, of which the first `continued` go on from
  // those at `before`.
  struct Step {
    size_t offset, rows, before, continued;
  };

  // `batch_sizes`: [T], descending, rows that have a token t.
  void Reset(absl::Span<const int64_t> batch_sizes);

  size_t rows() const { return rows_; }      // B
  size_t tokens() const { return tokens_; }  // N
  // In the order of the direction: 0 first to last token, 1 last to first.
  const std::vector<Step>& steps(int direction) const {
    return steps_[direction];
  }
  // The token of each row where a direction ends: [B].
  const std::vector<size_t>& ends(int direction) const {
    return ends_[direction];
  }
  // The token before each token in a direction, negative for none: [N].
  const std::vector<int32_t>& before(int direction) const {
    return before_[direction];
  }

 private:
  size_t rows_ = 0, tokens_ = 0;
  std::vector<Step> steps_[2];
  std::vector<size_t> ends_[2];
  std::vector<int32_t> before_[2];
};

// The network's arithmetic; weights and states are the caller's. Weights are
// packed for the processor that packed them: see bilstm_kernels.h. Results are
// the same bits with one and two threads. Thread-compatible; the const methods
// may run at once on states of their own.
class BiLstm {
 public:
  // What Forward leaves for Backward, and their workspace.
  struct State {
    struct Direction {
      FloatBuffer gates, c, tanh_c;
      // Of the backward pass.
      FloatBuffer dh_carry, dc_carry, a, w_hh, w_ih;
    };
    struct Layer {
      Direction direction[2];
      FloatBuffer h;  // [N, 2H]
    };
    std::vector<Layer> layers;
    // Gradients of a layer's input, by direction; layers take turns.
    FloatBuffer dx[2][2];
  };

  // Inputs, hidden units of a direction, layers: 1 or more each.
  BiLstm(int input, int hidden, int layers);

  // Floats of the packed weights, and of PyTorch's.
  size_t PackedSize() const { return packed_size_; }
  size_t PlainSize() const { return plain_size_; }
  // From and to PyTorch's tensors one after another: weight_ih_l0,
  // weight_hh_l0, bias_ih_l0, bias_hh_l0, the same with _reverse, the next
  // layer.
  void Pack(const float* plain, float* packed) const;
  void Unpack(const float* packed, float* plain) const;

  // x: [N, input]. ends: [B, 2H] out, the last forward and the first backward
  // state of every row. Keeps what Backward needs if `keep`.
  void Forward(const float* weights, const PackedSteps& steps, const float* x,
               bool keep, State* state, float* ends, ThreadPair* threads) const;

  // After Forward with `keep`, of which it uses up the state. dends: [B, 2H].
  // Overwrites the packed `gradient`. The gradient of x is the sum of
  // InputGradient of both directions.
  void Backward(const float* weights, const PackedSteps& steps, const float* x,
                const float* dends, State* state, float* gradient,
                ThreadPair* threads) const;
  // [N, input] of row stride InputStride().
  const float* InputGradient(const State& state, int direction) const {
    return state.dx[0][direction].data();
  }
  size_t InputStride() const { return Padded(input_); }

 private:
  struct Pass;  // a layer's weights and input

  size_t InputOf(int layer) const { return layer == 0 ? input_ : 2 * hidden_; }
  size_t Padded(size_t size) const {
    return (size + lanes_ - 1) / lanes_ * lanes_;
  }
  size_t Blocks() const { return (hidden_ + lanes_ - 1) / lanes_; }
  // Floats of one direction's packed weights.
  size_t DirectionSize(int layer) const;
  size_t WeightsAt(int layer, int direction) const;
  template <class Visit>
  void ForEachWeight(Visit visit) const;

  void ForwardDirection(const Pass& pass, int direction, bool keep,
                        State::Layer* layer) const;
  void BackwardThroughTime(const Pass& pass, int direction, const float* dends,
                           const float* const dh_above[2], size_t dh_stride,
                           State::Layer* layer) const;
  void WeightGradients(const Pass& pass, int direction, State::Layer* layer,
                       float* dx, float* gradient) const;
  void FillRows(const Pass& pass, int direction, size_t begin, size_t count,
                const float* h, float* a, size_t stride) const;

  const size_t input_, hidden_;
  const int layers_;
  const size_t lanes_;
  size_t packed_size_ = 0, plain_size_ = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_BILSTM_H_
