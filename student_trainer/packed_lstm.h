// A bidirectional LSTM layer over a packed batch on CPU, differentiable. It
// names LibTorch's tensor without including LibTorch.

#ifndef KODISTIL_STUDENT_TRAINER_PACKED_LSTM_H_
#define KODISTIL_STUDENT_TRAINER_PACKED_LSTM_H_

#include <cstdint>
#include <vector>

namespace at {
class Tensor;
}  // namespace at

namespace kodistil {

// Tensors of a layer: weight_ih [4H, E], weight_hh [4H, H], bias_ih [4H] and
// bias_hh [4H] of the forward direction, then of the backward direction.
inline constexpr int kBiLstmWeights = 8;

// x: [N, E], float32, in the order of PackedBatch. Returns the states of the
// forward and of the backward direction, each [N, H] in the same order: what
// torch.nn.LSTM gives for a PackedSequence. Several times faster than
// LibTorch's on CPU for small H: it runs a dozen tensor operations a time step,
// this runs one product and one fused loop. Throws as LibTorch does: call it
// under CatchTorch.
std::vector<at::Tensor> PackedBiLstm(const at::Tensor& x,
                                     const std::vector<int64_t>& batch_sizes,
                                     const std::vector<at::Tensor>& weights);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_PACKED_LSTM_H_
