#include "teacher_service/encoder_layer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "teacher_service/transformer_model.h"

namespace kodistil {

using at::Tensor;

EncoderShape EncoderShapeOf(const TransformerConfig& config) {
  EncoderShape shape;
  shape.attention.heads = config.num_heads;
  shape.attention.depth = config.head_size;
  shape.attention.scale = 1 / std::sqrt(static_cast<double>(config.head_size));
  shape.attention.dropout = config.attention_dropout;
  shape.activation = config.activation;
  shape.activation_dropout = config.activation_dropout;
  if (config.block_size > 0) shape.blocks = &config;
  return shape;
}

namespace {

// Whether a row is too long for full attention.
bool NeedsBlocks(const Run& run, const TransformerConfig& config) {
  for (const RowGroup& group : run.rows->groups) {
    if (group.length + group.padding >
        (5 + 2 * config.num_random_blocks) * config.block_size) {
      return true;
    }
  }
  return false;
}

}  // namespace

Tensor SelfAttend(const Run& run, const EncoderShape& shape,
                  const Linear& query_key_value, const Tensor& hidden,
                  const std::vector<int64_t>* places) {
  const int64_t inner = shape.attention.inner();
  if (places == nullptr) {
    const Tensor all = Apply(query_key_value, hidden);  // [tokens, 3 * inner]
    const Tensor parts[3] = {all.narrow(1, 0, inner),
                             all.narrow(1, inner, inner),
                             all.narrow(1, 2 * inner, inner)};
    if (shape.blocks != nullptr && NeedsBlocks(run, *shape.blocks)) {
      return AttendBlocks(run, shape.attention, *shape.blocks, parts);
    }
    return Attend(run, shape.attention, parts[0], parts[1], parts[2]);
  }
  AttentionSpec spec = shape.attention;
  spec.query_columns = places;
  const Tensor pooled = SelectRows(run, hidden, TokensOf(*run.rows, *places));
  const Tensor query = ApplyPart(query_key_value, pooled, 0, inner);
  const Tensor both = ApplyPart(query_key_value, hidden, inner, 2 * inner);
  return Attend(run, spec, query, both.narrow(1, 0, inner),
                both.narrow(1, inner, inner));
}

Tensor RunEncoderLayer(const Run& run, const EncoderShape& shape,
                       const EncoderLayer& layer, const Tensor& hidden,
                       const std::vector<int64_t>* places) {
  const Tensor context =
      SelfAttend(run, shape, layer.query_key_value, hidden, places);
  const Tensor attended =
      AddAndNorm(run, layer.attention, context,
                 places == nullptr
                     ? hidden
                     : SelectRows(run, hidden, TokensOf(*run.rows, *places)));
  const Tensor inner =
      Dropout(run, ApplyActivated(run, layer.up, shape.activation, attended),
              shape.activation_dropout);
  return AddAndNorm(run, layer.down, inner, attended);
}

Tensor RunEncoder(const Run& run, const EncoderShape& shape,
                  const std::vector<EncoderLayer>& layers, Tensor hidden,
                  const std::vector<int64_t>* places) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool is_last = i + 1 == layers.size();
    hidden = RunEncoderLayer(run, shape, layers[i], hidden,
                             is_last ? places : nullptr);
  }
  return hidden;
}

}  // namespace kodistil
