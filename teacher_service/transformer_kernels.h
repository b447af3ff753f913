// What a Transformer does row by row outside its matrix products, as vector
// code for the processor that runs it. float32, on the calling thread.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_KERNELS_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "teacher_service/transformer_config.h"

namespace kodistil {

// values = activation(values + bias); values: [rows, width]; bias: [width] or
// null.
void RunBiasActivation(Activation activation, size_t rows, size_t width,
                       const float* bias, float* values);

// sum = values + value_bias + residual, values = norm(sum), each row by itself.
struct AddNorm {
  size_t rows = 0, width = 0;
  float* values = nullptr;            // [rows, width], in and out
  const float* value_bias = nullptr;  // [width] or null
  const float* residual = nullptr;    // [rows, width] or null
  float* sum = nullptr;               // [rows, width] out, or null
  // LayerNorm's weight and bias [width]; without a bias it is T5's norm by the
  // root of the mean square.
  const float* weight = nullptr;
  const float* bias = nullptr;
  float epsilon = 0;
};
void RunAddNorm(const AddNorm& task);

// out = scale * words[ids] + positions[columns] + types[type_ids]
struct SumEmbeddings {
  size_t tokens = 0, width = 0;
  float scale = 1;
  const float* words = nullptr;
  const int64_t* ids = nullptr;
  const float* positions = nullptr;  // or null
  const int64_t* columns = nullptr;
  const float* types = nullptr;  // or null
  const int64_t* type_ids = nullptr;
  float* out = nullptr;  // [tokens, width]
};
void RunSumEmbeddings(const SumEmbeddings& task);

// A mask of dropout: each value is 0 with probability `rate` (in steps of
// 1/65536), else what keeps the mean. Value i follows from `stream` and i alone
// (Philox 2x32 with 10 rounds; Salmon et al.: Parallel Random Numbers: As Easy
// as 1, 2, 3, 2011).
void RunDropoutMask(uint64_t stream, float rate, size_t count, float* mask);

// Attention of the rows of one text, all heads.
struct Attention {
  size_t queries = 0, keys = 0;
  size_t heads = 0, depth = 0;
  // [queries, heads * depth] and [keys, heads * depth], each row `stride`
  // floats behind the one before.
  const float* query = nullptr;
  size_t query_stride = 0;
  const float* key = nullptr;
  const float* value = nullptr;
  size_t key_stride = 0;
  float scale = 1;  // of the products
  // Column of query 0; those after it follow. With `causal`, a query sees the
  // keys up to its own column.
  int64_t first_column = 0;
  bool causal = false;
  // Added to the scaled product of head h: distance_bias[h * bias_stride +
  // column of the key - column of the query]; or null.
  const float* distance_bias = nullptr;
  size_t bias_stride = 0;
  float* out = nullptr;  // [queries, heads * depth], `out_stride` apart
  size_t out_stride = 0;
};
// softmax(query * transpose(key) * scale + bias) * value, head by head.
void RunAttention(const Attention& task);

// exp and erf, on arrays: for tests.
void RunExp(const float* x, size_t count, float* out);
void RunErf(const float* x, size_t count, float* out);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_KERNELS_H_
