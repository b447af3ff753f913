#include <cmath>

#include "absl/strings/str_cat.h"
#include "teacher_service/architecture_config.h"

namespace kodistil {

void ReadGpt2Config(FieldReader* fields, TransformerConfig* config) {
  config->vocab_size = 50257;
  config->max_positions = 1024;
  config->activation = Activation::kGeluTanh;
  config->layer_norm_eps = 1e-5;
  config->pad_token_id = -1;
  config->type_vocab_size = 1;
  fields->Size("vocab_size", &config->vocab_size);
  fields->Size("n_positions", &config->max_positions);
  fields->Size("n_embd", &config->hidden_size);
  config->embedding_size = config->hidden_size;
  fields->Size("n_layer", &config->num_layers, /*most=*/1000);
  fields->Size("n_head", &config->num_heads);
  SetHeadSize(fields, "n_embd", config->hidden_size, "n_head",
              config->num_heads, &config->head_size);
  config->intermediate_size = 4 * config->hidden_size;
  fields->Size("n_inner", &config->intermediate_size);
  fields->Integer("pad_token_id", /*least=*/0, &config->pad_token_id);
  CheckTokenId(fields, "pad_token_id", config->pad_token_id, *config);
  ReadActivation(fields, "activation_function", &config->activation);
  fields->Real("layer_norm_epsilon", /*most=*/1, &config->layer_norm_eps);
  fields->Real("initializer_range", /*most=*/10, &config->initializer_range);
  fields->Rate("embd_pdrop", &config->embedding_dropout);
  fields->Rate("resid_pdrop", &config->hidden_dropout);
  fields->Rate("attn_pdrop", &config->attention_dropout);
  config->classifier_dropout = 0;  // the head has none
  fields->Bool("scale_attn_weights", &config->scale_attention);
  fields->Bool("scale_attn_by_inverse_layer_idx", &config->scale_by_layer);
  fields->OneOf("is_encoder_decoder", {false});
  fields->OneOf("n_ctx", {config->max_positions});
  // The head's is another module; the order of rounding is nobody's promise.
  fields->Ignore({"summary_activation", "summary_first_dropout",
                  "summary_proj_to_labels", "summary_type", "summary_use_proj",
                  "reorder_and_upcast_attn"});
}

std::map<std::string, TensorSpec> Gpt2Tensors(const TransformerConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  SpecBuilder builder(config.initializer_range);
  builder.Table("transformer.wte", config.vocab_size, hidden);
  builder.Table("transformer.wpe", config.max_positions, hidden);
  // Residual projections: Radford et al., 2019, section 2.3.
  const double narrow =
      config.initializer_range / std::sqrt(2.0 * config.num_layers);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = absl::StrCat("transformer.h.", i, ".");
    // Conv1D: weights are [in, out].
    const auto add = [&](const std::string& name, int64_t in, int64_t out,
                         double stddev) {
      builder.Normal(layer + name + ".weight", {in, out}, stddev);
      builder.Zeros(layer + name + ".bias", {out});
    };
    builder.Norm(layer + "ln_1", hidden);
    add("attn.c_attn", hidden, 3 * hidden, builder.stddev());
    add("attn.c_proj", hidden, hidden, narrow);
    builder.Norm(layer + "ln_2", hidden);
    add("mlp.c_fc", hidden, inner, builder.stddev());
    add("mlp.c_proj", inner, hidden, narrow);
  }
  builder.Norm("transformer.ln_f", hidden);
  builder.BeginHead();
  builder.Linear("score", config.num_labels, hidden, /*has_bias=*/false);
  return builder.Finish();
}

}  // namespace kodistil
