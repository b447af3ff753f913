// AttendBlocks of transformer_attention.h.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "teacher_service/transformer_attention.h"

namespace kodistil {
namespace {

using at::Tensor;

// The blocks of a row of `length` tokens, padded by Hugging Face to `blocks`.
struct Blocks {
  int64_t size = 0;
  int64_t blocks = 0;  // with padding
  int64_t length = 0;
  // Tokens before and behind the middle blocks see all keys.
  int64_t middle_begin() const { return std::min(size, length); }
  int64_t middle_end() const {
    return std::max(middle_begin(), std::min(length, (blocks - 1) * size));
  }
  int64_t middle_blocks() const {
    return (middle_end() - middle_begin() + size - 1) / size;
  }
};

// For each middle block, the tokens of the five blocks that it sees, in their
// order; what is not there, or there twice, has a mask of minus infinity.
void MiddleKeys(const Blocks& shape, int64_t num_random,
                std::vector<int64_t>* tokens, std::vector<float>* mask) {
  const float first_count = std::log1p(static_cast<float>(num_random));
  for (int64_t i = 1; i <= shape.middle_blocks(); ++i) {
    std::set<int64_t> seen;
    for (const int64_t block :
         {int64_t{0}, i - 1, i, i + 1, shape.blocks - 1}) {
      const bool is_new = seen.insert(block).second;
      for (int64_t j = 0; j < shape.size; ++j) {
        const int64_t token = block * shape.size + j;
        const bool is_there = is_new && token < shape.length;
        tokens->push_back(is_there ? token : 0);
        mask->push_back(!is_there    ? -std::numeric_limits<float>::infinity()
                        : block == 0 ? first_count
                                     : 0.0f);
      }
    }
  }
}

// x: [rows, length, heads, depth]; index: tokens of `blocks` times `size`
// tokens. Result: [rows, blocks, heads, size, depth].
Tensor GatherBlocks(const Run& run, const Tensor& x,
                    const std::vector<int64_t>& index, int64_t blocks) {
  const int64_t size = static_cast<int64_t>(index.size()) / blocks;
  return at::index_select(x, 1, IndexTensor(run, index))
      .view({x.size(0), blocks, size, x.size(2), x.size(3)})
      .transpose(2, 3);
}

// The middle blocks' attention: [rows, tokens of the middle, inner].
Tensor AttendMiddle(const Run& run, const AttentionSpec& spec,
                    const Blocks& shape, int64_t num_random,
                    const Tensor* parts) {
  const int64_t count = shape.middle_blocks();
  std::vector<int64_t> query_tokens, key_tokens;
  for (int64_t i = 0; i < count * shape.size; ++i) {
    // The last block may reach behind the row; its rest is cut off below.
    query_tokens.push_back(
        std::min(shape.middle_begin() + i, shape.length - 1));
  }
  std::vector<float> mask_values;
  MiddleKeys(shape, num_random, &key_tokens, &mask_values);
  const Tensor mask =
      at::from_blob(mask_values.data(), {count, 1, 1, 5 * shape.size},
                    at::kFloat)
          .to(parts[0].options(), /*non_blocking=*/false, /*copy=*/true);
  const Tensor query =
      GatherBlocks(run, parts[0], query_tokens, count) * spec.scale;
  const Tensor key = GatherBlocks(run, parts[1], key_tokens, count);
  const Tensor value = GatherBlocks(run, parts[2], key_tokens, count);
  // scores: [rows, blocks, heads, size, 5 * size]
  const Tensor scores = at::matmul(query, key.transpose(3, 4)) + mask;
  const Tensor weights = Dropout(run, at::softmax(scores, -1), spec.dropout);
  return at::matmul(weights, value)
      .transpose(2, 3)
      .reshape({parts[0].size(0), count * shape.size, spec.inner()})
      .narrow(1, 0, shape.middle_end() - shape.middle_begin());
}

// Full attention of the queries of tokens [begin, end): [rows, tokens, inner].
Tensor AttendAll(const Run& run, const AttentionSpec& spec, const Tensor* parts,
                 int64_t begin, int64_t end) {
  const Tensor query =
      (parts[0].narrow(1, begin, end - begin) * spec.scale).transpose(1, 2);
  const Tensor scores = at::matmul(query, parts[1].permute({0, 2, 3, 1}));
  const Tensor weights = Dropout(run, at::softmax(scores, -1), spec.dropout);
  return at::matmul(weights, parts[2].transpose(1, 2))
      .transpose(1, 2)
      .reshape({parts[0].size(0), end - begin, spec.inner()});
}

}  // namespace

Tensor AttendBlocks(const Run& run, const AttentionSpec& spec,
                    const TransformerConfig& config,
                    const Tensor* query_key_value) {
  std::vector<Tensor> results;
  for (const RowGroup& group : run.rows->groups) {
    const int64_t padded = group.length + group.padding;
    Blocks shape;
    shape.size = config.block_size;
    shape.blocks = (padded + shape.size - 1) / shape.size;
    shape.length = group.length;
    if (padded <= (5 + 2 * config.num_random_blocks) * shape.size) {
      results.push_back(AttendGroup(run, spec, group, query_key_value));
      continue;
    }
    Tensor parts[3];
    for (int i = 0; i < 3; ++i) {
      parts[i] = query_key_value[i]
                     .narrow(0, group.first_token, group.tokens())
                     .view({group.rows, group.length, spec.heads, spec.depth});
    }
    std::vector<Tensor> pieces = {
        AttendAll(run, spec, parts, 0, shape.middle_begin())};
    if (shape.middle_blocks() > 0) {
      pieces.push_back(
          AttendMiddle(run, spec, shape, config.num_random_blocks, parts));
    }
    if (shape.middle_end() < group.length) {
      pieces.push_back(
          AttendAll(run, spec, parts, shape.middle_end(), group.length));
    }
    results.push_back(
        at::cat(pieces, 1).reshape({group.tokens(), spec.inner()}));
  }
  return results.size() == 1 ? results[0] : at::cat(results);
}

}  // namespace kodistil
