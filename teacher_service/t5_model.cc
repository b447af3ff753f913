#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "teacher_service/encoder_layer.h"
#include "teacher_service/transformer_model.h"

namespace kodistil {
namespace {

using at::Tensor;

// A layer of the encoder or the decoder. Norms come before the sublayers: each
// one is computed where the sublayer before it ends.
struct T5Layer {
  Linear query_key_value;
  ResidualStep self_attention;
  Linear cross_query;      // the decoder's
  Linear cross_key_value;  // [2 * inner, hidden], of the encoder's states
  ResidualStep cross_attention;
  Linear gate, up;  // wi_0 and wi_1; without a gate, wi is `up`
  ResidualStep down;
};

struct T5Stack {
  Norm first_norm;
  const Tensor* relative_bias = nullptr;  // [buckets, heads]
  std::vector<T5Layer> layers;
};

// The bucket of a key's column less its query's (Raffel et al., 2020, section
// 2.1; T5Attention._relative_position_bucket).
int64_t BucketOf(int64_t distance, bool causal,
                 const TransformerConfig& config) {
  int64_t buckets = config.relative_buckets;
  int64_t first = 0;
  if (!causal) {
    buckets /= 2;
    if (distance > 0) first = buckets;
    distance = std::abs(distance);
  } else {
    distance = std::max<int64_t>(0, -distance);
  }
  const int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  // In float32, as the reference does it.
  const float share =
      std::log(static_cast<float>(distance) / exact) /
      static_cast<float>(
          std::log(static_cast<double>(config.relative_max_distance) / exact)) *
      (buckets - exact);
  return first + std::min(exact + static_cast<int64_t>(share), buckets - 1);
}

class T5Model : public TransformerModel {
 public:
  T5Model(const TransformerConfig& config, Parameters* parameters);

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
  T5Stack GetStack(bool is_decoder, Parameters* parameters) const;
  T5Layer GetLayer(const std::string& name, bool is_decoder,
                   const std::string& next_norm, Parameters* parameters) const;
  Norm GetNorm(const std::string& name, const Parameters& parameters) const {
    return parameters.GetNorm(name, config_.layer_norm_eps, /*has_bias=*/false);
  }
  // encoded: the encoder's states for the decoder, else null.
  Tensor RunStack(const Run& run, const T5Stack& stack,
                  const std::vector<int64_t>& ids, const Tensor* encoded,
                  const std::vector<int64_t>* places) const;
  Tensor CrossAttend(const Run& run, const T5Layer& layer, const Tensor& normed,
                     const Tensor& encoded,
                     const std::vector<int64_t>* places) const;
  // Of each distance: [heads, 2 * longest - 1].
  Tensor DistanceBias(const Run& run, const T5Stack& stack, bool causal) const;

  const TransformerConfig config_;
  EmbeddingTables tables_;
  T5Stack encoder_, decoder_;
  ClassifierHead head_;
};

T5Model::T5Model(const TransformerConfig& config, Parameters* parameters)
    : config_(config) {
  tables_.words = parameters->Get("transformer.shared.weight");
  encoder_ = GetStack(/*is_decoder=*/false, parameters);
  decoder_ = GetStack(/*is_decoder=*/true, parameters);
  head_.dense = parameters->GetLinear("classification_head.dense");
  head_.out = parameters->GetLinear("classification_head.out_proj");
  head_.input_dropout = head_.inner_dropout = config.classifier_dropout;
}

T5Stack T5Model::GetStack(bool is_decoder, Parameters* parameters) const {
  const std::string base =
      is_decoder ? "transformer.decoder" : "transformer.encoder";
  const int64_t layers =
      is_decoder ? config_.num_decoder_layers : config_.num_layers;
  T5Stack stack;
  stack.first_norm = GetNorm(base + ".block.0.layer.0.layer_norm", *parameters);
  stack.relative_bias =
      parameters->Get(base +
                      ".block.0.layer.0.SelfAttention.relative_attention_bias"
                      ".weight");
  for (int64_t i = 0; i < layers; ++i) {
    const std::string next =
        i + 1 == layers
            ? base + ".final_layer_norm"
            : absl::StrCat(base, ".block.", i + 1, ".layer.0.layer_norm");
    stack.layers.push_back(GetLayer(absl::StrCat(base, ".block.", i, ".layer."),
                                    is_decoder, next, parameters));
  }
  return stack;
}

T5Layer T5Model::GetLayer(const std::string& name, bool is_decoder,
                          const std::string& next_norm,
                          Parameters* parameters) const {
  const auto get = [&](const std::string& linear) {
    return parameters->GetLinear(linear, /*has_bias=*/false);
  };
  const auto get_step = [&](const std::string& linear,
                            const std::string& norm) {
    ResidualStep step;
    step.linear = get(linear);
    step.norm = GetNorm(norm, *parameters);
    step.rate = config_.hidden_dropout;
    return step;
  };
  T5Layer layer;
  const std::string self = name + "0.SelfAttention.";
  layer.query_key_value = parameters->Fuse({self + "q", self + "k", self + "v"},
                                           /*has_bias=*/false);
  layer.self_attention = get_step(self + "o", name + "1.layer_norm");
  if (is_decoder) {
    const std::string cross = name + "1.EncDecAttention.";
    layer.cross_query = get(cross + "q");
    layer.cross_key_value =
        parameters->Fuse({cross + "k", cross + "v"}, /*has_bias=*/false);
    layer.cross_attention = get_step(cross + "o", name + "2.layer_norm");
  }
  const std::string dense =
      name + (is_decoder ? "2." : "1.") + "DenseReluDense.";
  if (config_.gated) layer.gate = get(dense + "wi_0");
  layer.up = get(dense + (config_.gated ? "wi_1" : "wi"));
  layer.down = get_step(dense + "wo", next_norm);
  return layer;
}

Tensor T5Model::DistanceBias(const Run& run, const T5Stack& stack,
                             bool causal) const {
  std::vector<int64_t> buckets;
  for (int64_t d = 1 - run.rows->longest; d < run.rows->longest; ++d) {
    buckets.push_back(BucketOf(d, causal, config_));
  }
  return SelectRows(run, *stack.relative_bias, buckets).t().contiguous();
}

Tensor T5Model::CrossAttend(const Run& run, const T5Layer& layer,
                            const Tensor& normed, const Tensor& encoded,
                            const std::vector<int64_t>* places) const {
  AttentionSpec spec = EncoderShapeOf(config_).attention;
  spec.scale = 1;
  spec.query_columns = places;
  const Tensor both = Apply(layer.cross_key_value, encoded);
  return Attend(run, spec, Apply(layer.cross_query, normed),
                both.narrow(1, 0, spec.inner()),
                both.narrow(1, spec.inner(), spec.inner()));
}

Tensor T5Model::RunStack(const Run& run, const T5Stack& stack,
                         const std::vector<int64_t>& ids, const Tensor* encoded,
                         const std::vector<int64_t>* places) const {
  EncoderShape shape = EncoderShapeOf(config_);
  shape.attention.scale = 1;
  shape.attention.causal = encoded != nullptr;
  const Tensor bias = DistanceBias(run, stack, shape.attention.causal);
  shape.attention.distance_bias = &bias;
  Tensor hidden = Dropout(run, Embed(run, tables_, ids, run.rows->columns),
                          config_.embedding_dropout);
  Tensor normed = Apply(run, stack.first_norm, hidden);
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    const T5Layer& layer = stack.layers[i];
    const auto* last = i + 1 == stack.layers.size() ? places : nullptr;
    const Tensor context =
        SelfAttend(run, shape, layer.query_key_value, normed, last);
    if (last != nullptr) {
      hidden = SelectRows(run, hidden, TokensOf(*run.rows, *last));
    }
    normed = AddAndNorm(run, layer.self_attention, context, hidden, &hidden);
    if (encoded != nullptr) {
      const Tensor seen = CrossAttend(run, layer, normed, *encoded, last);
      normed = AddAndNorm(run, layer.cross_attention, seen, hidden, &hidden);
    }
    Tensor inner;
    if (config_.gated) {
      inner = ApplyActivated(run, layer.gate, config_.activation, normed) *
              Apply(layer.up, normed);
    } else {
      inner = ApplyActivated(run, layer.up, config_.activation, normed);
    }
    normed = AddAndNorm(run, layer.down,
                        Dropout(run, inner, config_.activation_dropout), hidden,
                        &hidden);
  }
  return Dropout(run, normed, config_.hidden_dropout);
}

Tensor T5Model::States(const Run& run,
                       const std::vector<int64_t>* places) const {
  const PackedRows& rows = *run.rows;
  const Tensor encoded =
      RunStack(run, encoder_, rows.ids, /*encoded=*/nullptr, nullptr);
  return RunStack(run, decoder_,
                  ShiftRight(rows, config_.decoder_start_token_id), &encoded,
                  places);
}

}  // namespace

std::unique_ptr<TransformerModel> NewT5Model(const TransformerConfig& config,
                                             Parameters* parameters) {
  return std::make_unique<T5Model>(config, parameters);
}

}  // namespace kodistil
