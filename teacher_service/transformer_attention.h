// Attention within the rows of a batch, without padding.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_ATTENTION_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "teacher_service/transformer_ops.h"

namespace kodistil {

struct AttentionSpec {
  int64_t heads = 1;
  int64_t depth = 1;  // of a head
  double scale = 1;   // of the products
  double dropout = 0;
  // A query sees the keys up to its own column.
  bool causal = false;
  // One query a row, in these columns [rows], instead of all tokens.
  const std::vector<int64_t>* query_columns = nullptr;
  // Added to a product by its key's column less its query's: [heads, 2 R - 1]
  // with the entry of distance 0 in the middle, R the longest row's tokens or
  // more; or null.
  const at::Tensor* distance_bias = nullptr;

  int64_t inner() const { return heads * depth; }
};

// query: [tokens, inner], or [rows, inner] with query_columns; key, value:
// [tokens, inner]; columns of a wider tensor will do. Result: as query,
// contiguous.
at::Tensor Attend(const Run& run, const AttentionSpec& spec,
                  const at::Tensor& query, const at::Tensor& key,
                  const at::Tensor& value);

// The rows of one group alone, in LibTorch's operations. query, key and value
// are those of all rows. Result: [tokens of the group (or rows), inner].
at::Tensor AttendGroup(const Run& run, const AttentionSpec& spec,
                       const RowGroup& group,
                       const at::Tensor* query_key_value);

// BigBird's blocks of `block_size` tokens, as Hugging Face's evaluation mode
// computes them since transformers 4.29: the first and the last block see all
// keys, the others the first, the last and three neighbouring blocks, the first
// counted 1 + num_random_blocks times. Rows of at most 5 + 2 *
// num_random_blocks blocks run full attention. Without query_columns.
at::Tensor AttendBlocks(const Run& run, const AttentionSpec& spec,
                        const TransformerConfig& config,
                        const at::Tensor* query_key_value);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_ATTENTION_H_
