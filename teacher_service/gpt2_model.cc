#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "teacher_service/encoder_layer.h"
#include "teacher_service/transformer_model.h"

namespace kodistil {
namespace {

using at::Tensor;

// Norms before the sublayers: each one is computed where the sublayer before
// it ends.
struct Gpt2Layer {
  Linear query_key_value;
  ResidualStep attention;  // with ln_2
  Linear up;
  ResidualStep down;  // with the next layer's ln_1, or ln_f
};

class Gpt2Model : public TransformerModel {
 public:
  Gpt2Model(const TransformerConfig& config, Parameters* parameters);

  absl::StatusOr<std::vector<int64_t>> PooledPlaces(
      const PackedRows& rows) const override;
  Tensor States(const Run& run,
                const std::vector<int64_t>* places) const override;
  Tensor Classify(const Run&, const Tensor& pooled) const override {
    return Apply(score_, pooled);
  }

 private:
  const TransformerConfig config_;
  EmbeddingTables tables_;
  Norm first_norm_;
  std::vector<Gpt2Layer> layers_;
  Linear score_;
};

Gpt2Model::Gpt2Model(const TransformerConfig& config, Parameters* parameters)
    : config_(config) {
  const double epsilon = config.layer_norm_eps;
  const auto get_norm = [&](int64_t i) {
    return parameters->GetNorm(i == config.num_layers
                                   ? "transformer.ln_f"
                                   : absl::StrCat("transformer.h.", i, ".ln_1"),
                               epsilon);
  };
  const auto get_linear = [&](const std::string& name) {
    Linear linear = parameters->GetLinear(name);
    linear.input_first = true;  // Conv1D
    return linear;
  };
  tables_.words = parameters->Get("transformer.wte.weight");
  tables_.positions = parameters->Get("transformer.wpe.weight");
  first_norm_ = get_norm(0);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string name = absl::StrCat("transformer.h.", i, ".");
    Gpt2Layer layer;
    layer.query_key_value = get_linear(name + "attn.c_attn");
    layer.attention.linear = get_linear(name + "attn.c_proj");
    layer.attention.norm = parameters->GetNorm(name + "ln_2", epsilon);
    layer.attention.rate = config.hidden_dropout;
    layer.up = get_linear(name + "mlp.c_fc");
    layer.down.linear = get_linear(name + "mlp.c_proj");
    layer.down.norm = get_norm(i + 1);
    layer.down.rate = config.hidden_dropout;
    layers_.push_back(layer);
  }
  score_ = parameters->GetLinear("score", /*has_bias=*/false);
}

// The last token before the first padding token, or the last of all.
absl::StatusOr<std::vector<int64_t>> Gpt2Model::PooledPlaces(
    const PackedRows& rows) const {
  std::vector<int64_t> places;
  rows.ForEachRow([&](int64_t, int64_t token, const RowGroup& group) {
    int64_t place = group.length - 1;
    for (int64_t i = 1; i < group.length; ++i) {
      if (rows.ids[token + i] != config_.pad_token_id) continue;
      // Padding first is no end.
      if (rows.ids[token] != config_.pad_token_id) place = i - 1;
      break;
    }
    places.push_back(place);
  });
  return places;
}

Tensor Gpt2Model::States(const Run& run,
                         const std::vector<int64_t>* places) const {
  Tensor hidden =
      Dropout(run, Embed(run, tables_, run.rows->ids, run.rows->columns),
              config_.embedding_dropout);
  Tensor normed = Apply(run, first_norm_, hidden);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Gpt2Layer& layer = layers_[i];
    EncoderShape shape = EncoderShapeOf(config_);
    shape.attention.causal = true;
    if (!config_.scale_attention) shape.attention.scale = 1;
    if (config_.scale_by_layer) {
      shape.attention.scale /= static_cast<double>(i + 1);
    }
    const auto* last_places = i + 1 == layers_.size() ? places : nullptr;
    const Tensor context =
        SelfAttend(run, shape, layer.query_key_value, normed, last_places);
    if (last_places != nullptr) {
      hidden = SelectRows(run, hidden, TokensOf(*run.rows, *places));
    }
    normed = AddAndNorm(run, layer.attention, context, hidden, &hidden);
    const Tensor inner =
        ApplyActivated(run, layer.up, config_.activation, normed);
    normed = AddAndNorm(run, layer.down, inner, hidden, &hidden);
  }
  return normed;
}

}  // namespace

std::unique_ptr<TransformerModel> NewGpt2Model(const TransformerConfig& config,
                                               Parameters* parameters) {
  return std::make_unique<Gpt2Model>(config, parameters);
}

}  // namespace kodistil
