#include <ATen/ATen.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "teacher_service/encoder_layer.h"
#include "teacher_service/transformer_model.h"

namespace kodistil {
namespace {

using at::Tensor;

struct BartDecoderLayer {
  Linear query_key_value;
  ResidualStep self_attention;
  Linear cross_query;
  Linear cross_key_value;  // [2 * hidden, hidden], of the encoder's states
  ResidualStep cross_attention;
  Linear up;
  ResidualStep down;
};

// Embeddings of the encoder or the decoder.
struct BartEmbedding {
  EmbeddingTables tables;
  Norm norm;
};

class BartModel : public TransformerModel {
 public:
  BartModel(const TransformerConfig& config, Parameters* parameters);

  absl::StatusOr<std::vector<int64_t>> PooledPlaces(
      const PackedRows& rows) const override {
    return LastPlacesOf(rows, config_.eos_token_id, "end of text");
  }
  Tensor States(const Run& run,
                const std::vector<int64_t>* places) const override;
  Tensor Classify(const Run& run, const Tensor& pooled) const override {
    return RunHead(run, head_, pooled);
  }

 private:
  BartEmbedding GetEmbedding(const std::string& base,
                             Parameters* parameters) const;
  ResidualStep GetStep(const std::string& linear, const std::string& norm,
                       Parameters* parameters) const;
  EncoderLayer GetEncoderLayer(const std::string& name,
                               Parameters* parameters) const;
  BartDecoderLayer GetDecoderLayer(const std::string& name,
                                   Parameters* parameters) const;
  Tensor Start(const Run& run, const BartEmbedding& embedding,
               const std::vector<int64_t>& ids) const;
  Tensor Decode(const Run& run, const BartDecoderLayer& layer,
                const Tensor& hidden, const Tensor& encoded,
                const std::vector<int64_t>* places) const;

  const TransformerConfig config_;
  BartEmbedding encoder_embedding_, decoder_embedding_;
  std::vector<EncoderLayer> encoder_;
  std::vector<BartDecoderLayer> decoder_;
  ClassifierHead head_;
};

BartModel::BartModel(const TransformerConfig& config, Parameters* parameters)
    : config_(config) {
  encoder_embedding_ = GetEmbedding("model.encoder", parameters);
  decoder_embedding_ = GetEmbedding("model.decoder", parameters);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    encoder_.push_back(GetEncoderLayer(
        absl::StrCat("model.encoder.layers.", i, "."), parameters));
  }
  for (int64_t i = 0; i < config.num_decoder_layers; ++i) {
    decoder_.push_back(GetDecoderLayer(
        absl::StrCat("model.decoder.layers.", i, "."), parameters));
  }
  head_.dense = parameters->GetLinear("classification_head.dense");
  head_.out = parameters->GetLinear("classification_head.out_proj");
  head_.input_dropout = head_.inner_dropout = config.classifier_dropout;
}

BartEmbedding BartModel::GetEmbedding(const std::string& base,
                                      Parameters* parameters) const {
  BartEmbedding embedding;
  embedding.tables.words = parameters->Get("model.shared.weight");
  embedding.tables.positions =
      parameters->Get(base + ".embed_positions.weight");
  if (config_.scale_embeddings) {
    embedding.tables.scale =
        std::sqrt(static_cast<double>(config_.hidden_size));
  }
  embedding.norm = parameters->GetNorm(base + ".layernorm_embedding",
                                       config_.layer_norm_eps);
  return embedding;
}

ResidualStep BartModel::GetStep(const std::string& linear,
                                const std::string& norm,
                                Parameters* parameters) const {
  ResidualStep step;
  step.linear = parameters->GetLinear(linear);
  step.norm = parameters->GetNorm(norm, config_.layer_norm_eps);
  step.rate = config_.hidden_dropout;
  return step;
}

EncoderLayer BartModel::GetEncoderLayer(const std::string& name,
                                        Parameters* parameters) const {
  const std::string self = name + "self_attn.";
  EncoderLayer layer;
  layer.query_key_value =
      parameters->Fuse({self + "q_proj", self + "k_proj", self + "v_proj"});
  layer.attention =
      GetStep(self + "out_proj", name + "self_attn_layer_norm", parameters);
  layer.up = parameters->GetLinear(name + "fc1");
  layer.down = GetStep(name + "fc2", name + "final_layer_norm", parameters);
  return layer;
}

BartDecoderLayer BartModel::GetDecoderLayer(const std::string& name,
                                            Parameters* parameters) const {
  const EncoderLayer shared = GetEncoderLayer(name, parameters);
  const std::string cross = name + "encoder_attn.";
  BartDecoderLayer layer;
  layer.query_key_value = shared.query_key_value;
  layer.self_attention = shared.attention;
  layer.cross_query = parameters->GetLinear(cross + "q_proj");
  layer.cross_key_value =
      parameters->Fuse({cross + "k_proj", cross + "v_proj"});
  layer.cross_attention =
      GetStep(cross + "out_proj", name + "encoder_attn_layer_norm", parameters);
  layer.up = shared.up;
  layer.down = shared.down;
  return layer;
}

Tensor BartModel::Start(const Run& run, const BartEmbedding& embedding,
                        const std::vector<int64_t>& ids) const {
  std::vector<int64_t> positions = run.rows->columns;
  for (int64_t& position : positions) position += config_.position_offset;
  const Tensor sum = Embed(run, embedding.tables, ids, positions);
  return Dropout(run, Apply(run, embedding.norm, sum),
                 config_.embedding_dropout);
}

// encoded: [tokens, hidden], the encoder's states.
Tensor BartModel::Decode(const Run& run, const BartDecoderLayer& layer,
                         const Tensor& hidden, const Tensor& encoded,
                         const std::vector<int64_t>* places) const {
  EncoderShape shape = EncoderShapeOf(config_);
  shape.attention.heads = config_.num_decoder_heads;
  shape.attention.depth = config_.hidden_size / config_.num_decoder_heads;
  shape.attention.scale =
      1 / std::sqrt(static_cast<double>(shape.attention.depth));
  AttentionSpec cross = shape.attention;
  cross.query_columns = places;
  shape.attention.causal = true;
  const Tensor context =
      SelfAttend(run, shape, layer.query_key_value, hidden, places);
  Tensor state =
      AddAndNorm(run, layer.self_attention, context,
                 places == nullptr
                     ? hidden
                     : SelectRows(run, hidden, TokensOf(*run.rows, *places)));
  const Tensor both = Apply(layer.cross_key_value, encoded);
  const int64_t inner = cross.inner();
  const Tensor seen =
      Attend(run, cross, Apply(layer.cross_query, state),
             both.narrow(1, 0, inner), both.narrow(1, inner, inner));
  state = AddAndNorm(run, layer.cross_attention, seen, state);
  const Tensor up =
      Dropout(run, ApplyActivated(run, layer.up, config_.activation, state),
              config_.activation_dropout);
  return AddAndNorm(run, layer.down, up, state);
}

Tensor BartModel::States(const Run& run,
                         const std::vector<int64_t>* places) const {
  const PackedRows& rows = *run.rows;
  const Tensor encoded =
      RunEncoder(run, EncoderShapeOf(config_), encoder_,
                 Start(run, encoder_embedding_, rows.ids), nullptr);
  Tensor hidden = Start(run, decoder_embedding_,
                        ShiftRight(rows, config_.decoder_start_token_id));
  for (size_t i = 0; i < decoder_.size(); ++i) {
    const bool is_last = i + 1 == decoder_.size();
    hidden =
        Decode(run, decoder_[i], hidden, encoded, is_last ? places : nullptr);
  }
  return hidden;
}

}  // namespace

std::unique_ptr<TransformerModel> NewBartModel(const TransformerConfig& config,
                                               Parameters* parameters) {
  return std::make_unique<BartModel>(config, parameters);
}

}  // namespace kodistil
