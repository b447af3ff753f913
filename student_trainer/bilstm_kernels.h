// The arithmetic of an LSTM layer over a packed batch: vector code for the
// processor that runs it, on plain arrays. What bilstm.h is made of.

#ifndef KODISTIL_STUDENT_TRAINER_BILSTM_KERNELS_H_
#define KODISTIL_STUDENT_TRAINER_BILSTM_KERNELS_H_

#include <cstddef>

namespace kodistil {

// Hidden units lie in blocks of L, the floats of one vector; P = ceil(H / L)
// blocks, the last one filled up with zeros. What a block owns lies together:
//   weights  [P][I + H + 2][4][L]  rows: inputs, states, the two biases
//   gates    [P][N][4][L]          PyTorch's order: input, forget, cell, output
//   c        [P][N][L]
// N tokens, all float32. "stride" is the floats from a row to the next one,
// "panel" those from a block to the next one.

// L of this processor: 16 with AVX-512, 8 with AVX2, 4 otherwise.
size_t SimdLanes();

// One time step of a direction, for the rows of a batch still alive.
struct LstmForward {
  size_t rows = 0;
  // Rows with an earlier state; the others start from zero.
  size_t continued = 0;
  size_t input = 0;                // I
  size_t hidden = 0;               // H
  const float* weights = nullptr;  // [P][I + H + 2][4][L]
  const float* x = nullptr;        // [rows, I]
  size_t x_stride = 0;
  const float* h_before = nullptr;  // [continued, H]
  float* h = nullptr;               // [rows, H] out
  size_t h_stride = 0;
  // c may be c_before.
  const float* c_before = nullptr;  // [P][continued][L]
  float* c = nullptr;               // [P][rows][L] out
  size_t c_panel = 0;
  // Kept for the backward pass; both null when there is none.
  float* gates = nullptr;  // [P][rows][4][L] out: activations
  size_t gates_panel = 0;
  float* tanh_c = nullptr;  // [P][rows][L] out
};
void RunForward(const LstmForward& step);

// The same step backwards, up to the gates' sums.
struct LstmBackward {
  size_t rows = 0;
  size_t continued = 0;
  size_t hidden = 0;
  float* gates = nullptr;  // [P][rows][4][L] activations in, gradients
                           // of the sums out
  size_t gates_panel = 0;
  const float* c_before = nullptr;  // [P][continued][L]
  const float* tanh_c = nullptr;    // [P][rows][L]
  size_t c_panel = 0;
  // Added up: gradients of h from the layer above (null for none; a term for
  // each of its directions) and from the later step.
  const float* dh_above[2] = {nullptr, nullptr};  // [rows, H]
  size_t dh_stride = 0;
  const float* dh_carry = nullptr;  // [rows, P * L]
  float* dc_carry = nullptr;        // [rows, P * L] in and out
};
void RunBackward(const LstmBackward& step);

// out = gates * weights: [rows, 4H] x [4H, columns].
struct GatesProduct {
  size_t rows = 0;
  size_t hidden = 0;
  size_t columns = 0;
  const float* gates = nullptr;  // [P][rows][4][L]
  size_t gates_panel = 0;
  const float* weights = nullptr;  // as TransposeWeights makes them
  float* out = nullptr;            // [rows, columns], up to a whole vector
  size_t out_stride = 0;
};
void RunProduct(const GatesProduct& product);

// Floats of a transposed weight matrix.
size_t TransposedWeights(size_t hidden, size_t columns);
// Rows `begin` to `begin + columns` of a direction's weights, of which each
// block has `weight_rows`, for GatesProduct. `out` was zero before the first
// call.
void TransposeWeights(size_t hidden, const float* weights, size_t weight_rows,
                      size_t begin, size_t columns, float* out);

// out (+)= transpose(a) * gates: [rows, tokens] x [tokens, 4H].
struct WeightGradient {
  size_t tokens = 0;
  size_t rows = 0;
  size_t hidden = 0;
  const float* a = nullptr;  // [tokens, rows]
  size_t a_stride = 0;
  const float* gates = nullptr;  // [P][tokens][4][L]
  size_t gates_panel = 0;
  float* out = nullptr;  // [P][rows][4][L]
  size_t out_panel = 0;
  bool accumulate = false;
};
void RunWeightGradient(const WeightGradient& gradient);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_BILSTM_KERNELS_H_
