// What a training step does outside the LSTM, as vector code for the processor
// that runs it.

#ifndef KODISTIL_STUDENT_TRAINER_VECTOR_KERNELS_H_
#define KODISTIL_STUDENT_TRAINER_VECTOR_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace kodistil {

// A step of Adam (Kingma and Ba, 2015, algorithm 1, with PyTorch's defaults),
// or of AdamW (Loshchilov and Hutter: Decoupled Weight Decay Regularization,
// 2019, algorithm 2, as torch.optim.AdamW scales it).
struct AdamUpdate {
  size_t size = 0;
  float* parameters = nullptr;
  float* gradient = nullptr;  // zero afterwards
  float* mean = nullptr;      // first moment
  float* square = nullptr;    // second moment
  float step_size = 0;        // lr / (1 - beta1^t)
  float root_correction = 1;  // sqrt(1 - beta2^t)
  float decay = 1;            // 1 - lr * weight_decay: 1 for Adam
};
void RunAdamUpdate(const AdamUpdate& update);

// A stream of random numbers: what is drawn depends on the stream and the
// position alone.
struct DropoutStream {
  uint32_t key = 0;
  uint32_t step = 0;
  float rate = 0;  // 0 to below 1, in steps of 1/65536
};
// Zeroes values with the stream's probability and scales the others to keep the
// mean. `values` lie at positions from `begin`, a multiple of 64, to
// begin + count.
void RunDropout(const DropoutStream& stream, size_t begin, size_t count,
                float* values);
// Philox 2x32 with 10 rounds (Salmon et al.: Parallel Random Numbers: As Easy
// as 1, 2, 3, 2011) of the counters {first + i, high}, low word first.
void RunPhilox(uint32_t first, uint32_t high, uint32_t key, size_t count,
               uint64_t* out);

// out[i] = table[ids[i]], rows of `width`.
void GatherRows(const float* table, const int64_t* ids, size_t count,
                size_t width, float* out);
// table[ids[i]] += rows[i] for ids from first_id to below end_id, in order.
struct RowScatter {
  size_t count = 0, width = 0;
  const float* rows = nullptr;   // [count, width]
  const int64_t* ids = nullptr;  // [count]
  int64_t first_id = 0, end_id = 0;
  float* table = nullptr;  // rows of `width` by id
};
void RunRowScatter(const RowScatter& scatter);
// out[i] = a[i] + b[i]; rows of `width` every `stride` floats, dense in `out`.
void SumRows(const float* a, const float* b, size_t count, size_t width,
             size_t stride, float* out);

// A linear layer: out = x * transpose(weight) + bias.
struct LinearLayer {
  size_t rows = 0, inputs = 0, outputs = 0;
  const float* x = nullptr;       // [rows, inputs]
  const float* weight = nullptr;  // [outputs, inputs]
  const float* bias = nullptr;    // [outputs]
  float* out = nullptr;           // [rows, outputs]
};
void RunLinear(const LinearLayer& layer);

struct LinearBackward {
  size_t rows = 0, inputs = 0, outputs = 0;
  const float* x = nullptr;       // [rows, inputs]
  const float* weight = nullptr;  // [outputs, inputs]
  const float* dout = nullptr;    // [rows, outputs]
  float* dx = nullptr;            // [rows, inputs] out
  float* dweight = nullptr;       // [outputs, inputs] out
  float* dbias = nullptr;         // [outputs] out
};
void RunLinearBackward(const LinearBackward& layer);

// The activations of the LSTM, on arrays: for tests.
void RunSigmoid(const float* x, size_t count, float* out);
void RunTanh(const float* x, size_t count, float* out);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_VECTOR_KERNELS_H_
