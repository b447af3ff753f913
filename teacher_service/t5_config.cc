#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "teacher_service/architecture_config.h"

namespace kodistil {
namespace {

using Json = nlohmann::json;

// "relu", "gated-gelu", ...: gated-gelu has the tanh approximation
// (T5Config, feed_forward_proj).
void ReadFeedForward(FieldReader* fields, TransformerConfig* config) {
  static const auto* const kKnown =
      new std::map<std::string, std::pair<Activation, bool>>{
          {"gated-gelu", {Activation::kGeluTanh, true}},
          {"gated-relu", {Activation::kRelu, true}},
          {"gated-silu", {Activation::kSilu, true}},
          {"gelu", {Activation::kGelu, false}},
          {"gelu_new", {Activation::kGeluTanh, false}},
          {"relu", {Activation::kRelu, false}},
          {"silu", {Activation::kSilu, false}}};
  config->activation = Activation::kRelu;
  if (const Json* value = fields->Find("feed_forward_proj")) {
    const auto found = value->is_string()
                           ? kKnown->find(value->get<std::string>())
                           : kKnown->end();
    if (found == kKnown->end()) {
      fields->Fail("feed_forward_proj", ShownJson(*value),
                   "gated-gelu, gated-relu, gated-silu, gelu, gelu_new, relu "
                   "or silu");
      return;
    }
    std::tie(config->activation, config->gated) = found->second;
  }
  // Copies that the library writes.
  fields->OneOf("is_gated_act", {config->gated});
  Activation copy = config->activation;
  ReadActivation(fields, "dense_act_fn", &copy);
  if (copy != config->activation) {
    fields->Fail("dense_act_fn", ShownJson(*fields->Find("dense_act_fn")),
                 "the activation of feed_forward_proj");
  }
}

void AddAttention(const std::string& name, const TransformerConfig& config,
                  SpecBuilder* builder) {
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.num_heads * config.head_size;
  const double wide = builder->stddev();
  builder->Normal(name + ".q.weight", {inner, hidden},
                  wide / std::sqrt(static_cast<double>(config.head_size)));
  builder->Normal(name + ".k.weight", {inner, hidden}, wide);
  builder->Normal(name + ".v.weight", {inner, hidden}, wide);
  builder->Normal(
      name + ".o.weight", {hidden, inner},
      config.initializer_range / std::sqrt(static_cast<double>(inner)));
}

void AddFeedForward(const std::string& name, const TransformerConfig& config,
                    SpecBuilder* builder) {
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  for (const char* part : {"wi", "wi_0", "wi_1"}) {
    if ((std::string(part) == "wi") == config.gated) continue;
    builder->Normal(absl::StrCat(name, ".", part, ".weight"), {inner, hidden},
                    builder->stddev());
  }
  builder->Normal(
      name + ".wo.weight", {hidden, inner},
      config.initializer_range / std::sqrt(static_cast<double>(inner)));
}

}  // namespace

void ReadT5Config(FieldReader* fields, TransformerConfig* config) {
  config->vocab_size = 32128;
  config->hidden_size = 512;
  config->num_layers = 6;
  config->num_heads = 8;
  config->intermediate_size = 2048;
  config->max_positions = 0;
  config->type_vocab_size = 1;
  config->eos_token_id = 1;
  config->layer_norm_eps = 1e-6;
  config->initializer_range = 1;
  config->classifier_dropout = 0;
  fields->Size("vocab_size", &config->vocab_size);
  fields->Size("d_model", &config->hidden_size);
  config->embedding_size = config->hidden_size;
  fields->Size("d_kv", &config->head_size);
  fields->Size("d_ff", &config->intermediate_size);
  fields->Size("num_layers", &config->num_layers, /*most=*/1000);
  config->num_decoder_layers = config->num_layers;
  fields->Size("num_decoder_layers", &config->num_decoder_layers,
               /*most=*/1000);
  fields->Size("num_heads", &config->num_heads);
  config->num_decoder_heads = config->num_heads;
  config->decoder_intermediate_size = config->intermediate_size;
  fields->Size("relative_attention_num_buckets", &config->relative_buckets);
  fields->Size("relative_attention_max_distance",
               &config->relative_max_distance);
  if (config->relative_buckets % 4 != 0 ||
      config->relative_max_distance <= config->relative_buckets / 2) {
    fields->Fail(
        "relative_attention_num_buckets",
        absl::StrCat(config->relative_buckets),
        "a multiple of 4, below twice relative_attention_max_distance");
  }
  fields->Integer("pad_token_id", /*least=*/0, &config->pad_token_id);
  fields->Integer("eos_token_id", /*least=*/0, &config->eos_token_id);
  fields->Integer("decoder_start_token_id", /*least=*/0,
                  &config->decoder_start_token_id);
  if (config->decoder_start_token_id < 0) {
    fields->Fail("decoder_start_token_id", "absent", "a token's id");
  }
  CheckTokenId(fields, "pad_token_id", config->pad_token_id, *config);
  CheckTokenId(fields, "eos_token_id", config->eos_token_id, *config);
  CheckTokenId(fields, "decoder_start_token_id", config->decoder_start_token_id,
               *config);
  fields->Real("layer_norm_epsilon", /*most=*/1, &config->layer_norm_eps);
  fields->Real("initializer_factor", /*most=*/100, &config->initializer_range);
  fields->Rate("dropout_rate", &config->hidden_dropout);
  config->embedding_dropout = config->hidden_dropout;
  config->attention_dropout = config->hidden_dropout;
  config->activation_dropout = config->hidden_dropout;
  fields->Rate("classifier_dropout", &config->classifier_dropout);
  ReadFeedForward(fields, config);
  fields->OneOf("is_encoder_decoder", {true});
  // There is no position table.
  fields->Ignore({"n_positions"});
}

std::map<std::string, TensorSpec> T5Tensors(const TransformerConfig& config) {
  const int64_t hidden = config.hidden_size;
  const double factor = config.initializer_range;
  // The deviation of most weights: T5PreTrainedModel._init_weights.
  SpecBuilder builder(factor / std::sqrt(static_cast<double>(hidden)));
  builder.Normal("transformer.shared.weight", {config.vocab_size, hidden},
                 factor);
  for (const bool decoder : {false, true}) {
    const std::string base =
        decoder ? "transformer.decoder" : "transformer.encoder";
    const int64_t layers =
        decoder ? config.num_decoder_layers : config.num_layers;
    for (int64_t i = 0; i < layers; ++i) {
      const std::string block = absl::StrCat(base, ".block.", i, ".layer.");
      AddAttention(block + "0.SelfAttention", config, &builder);
      if (i == 0) {
        builder.Table(block + "0.SelfAttention.relative_attention_bias",
                      config.relative_buckets, config.num_heads);
      }
      builder.Norm(block + "0.layer_norm", hidden, /*has_bias=*/false);
      if (decoder) {
        AddAttention(block + "1.EncDecAttention", config, &builder);
        builder.Norm(block + "1.layer_norm", hidden, /*has_bias=*/false);
      }
      const std::string last = block + (decoder ? "2" : "1");
      AddFeedForward(last + ".DenseReluDense", config, &builder);
      builder.Norm(last + ".layer_norm", hidden, /*has_bias=*/false);
    }
    builder.Norm(base + ".final_layer_norm", hidden, /*has_bias=*/false);
  }
  builder.BeginHead();
  builder.Linear("classification_head.dense", hidden, hidden);
  builder.Linear("classification_head.out_proj", config.num_labels, hidden);
  return builder.Finish();
}

}  // namespace kodistil
