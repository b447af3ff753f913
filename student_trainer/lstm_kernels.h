// The LSTM cell's elementwise arithmetic, forward and backward, on plain
// arrays. Matrix products are the caller's.

#ifndef KODISTIL_STUDENT_TRAINER_LSTM_KERNELS_H_
#define KODISTIL_STUDENT_TRAINER_LSTM_KERNELS_H_

#include <cstdint>

namespace kodistil {

// All arrays are float32, row-major. The gates' order is PyTorch's: input,
// forget, cell, output.
struct LstmStepForward {
  int64_t rows = 0;
  // Rows that have an earlier state; the others start from zero.
  int64_t continued = 0;
  int64_t hidden = 0;               // H
  float* gates = nullptr;           // [rows, 4H] sums in, activations out
  const float* c_before = nullptr;  // [continued, H]
  float* c = nullptr;               // [rows, H] out
  float* tanh_c = nullptr;          // [rows, H] out
  float* h = nullptr;               // [rows, H] out
};
void RunLstmStep(const LstmStepForward& step);

struct LstmStepBackward {
  int64_t rows = 0;
  int64_t continued = 0;
  int64_t hidden = 0;
  float* gates = nullptr;           // [rows, 4H] activations in, gradients out
  const float* c_before = nullptr;  // [continued, H]
  const float* tanh_c = nullptr;    // [rows, H]
  const float* dh = nullptr;        // [rows, H] from outside the recurrence
  // Rows of the carries that the later step wrote; the others count as zero.
  int64_t carried = 0;
  const float* dh_carry = nullptr;  // [carried, H] from the later step
  float* dc_carry = nullptr;        // [max(carried, continued), H] in and out
};
void RunLstmStep(const LstmStepBackward& step);

// One step of Adam (Kingma and Ba, 2015, algorithm 1) or AdamW as PyTorch
// computes it.
struct AdamStep {
  int64_t size = 0;
  float* parameters = nullptr;
  const float* gradient = nullptr;
  float* mean = nullptr;      // first moment
  float* square = nullptr;    // second moment
  float step_size = 0;        // lr / (1 - beta1^t)
  float root_correction = 1;  // sqrt(1 - beta2^t)
  float decay = 1;            // 1 - lr * weight_decay: 1 for Adam
};
void RunAdam(const AdamStep& step);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_LSTM_KERNELS_H_
