// The Transformer layer with norms behind its sublayers (Vaswani et al., 2017),
// as BERT's family, DistilBERT and BART's encoder have it.

#ifndef KODISTIL_TEACHER_SERVICE_ENCODER_LAYER_H_
#define KODISTIL_TEACHER_SERVICE_ENCODER_LAYER_H_

#include <cstdint>
#include <vector>

#include "teacher_service/transformer_attention.h"
#include "teacher_service/transformer_config.h"
#include "teacher_service/transformer_ops.h"

namespace kodistil {

struct EncoderLayer {
  Linear query_key_value;  // [3 * hidden, hidden]
  ResidualStep attention;
  Linear up;
  ResidualStep down;
};

// What all layers of a network share.
struct EncoderShape {
  AttentionSpec attention;
  Activation activation = Activation::kGelu;
  double activation_dropout = 0;
  // Of BigBird's sparse attention; else null.
  const TransformerConfig* blocks = nullptr;
};
EncoderShape EncoderShapeOf(const TransformerConfig& config);

// hidden: [tokens, hidden]. Result: as hidden, or with `places` [rows, hidden]
// of the tokens in these places of their rows.
at::Tensor RunEncoderLayer(const Run& run, const EncoderShape& shape,
                           const EncoderLayer& layer, const at::Tensor& hidden,
                           const std::vector<int64_t>* places);

// Self-attention of a fused layer; `places` as above. Result: the context,
// before the output's projection. `residual` gets the rows of `hidden` that
// the context belongs to.
at::Tensor SelfAttend(const Run& run, const EncoderShape& shape,
                      const Linear& query_key_value, const at::Tensor& hidden,
                      const std::vector<int64_t>* places);

// Layer after layer, the last one for `places` alone.
at::Tensor RunEncoder(const Run& run, const EncoderShape& shape,
                      const std::vector<EncoderLayer>& layers,
                      at::Tensor hidden, const std::vector<int64_t>* places);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_ENCODER_LAYER_H_
