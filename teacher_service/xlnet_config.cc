#include "absl/strings/str_cat.h"
#include "teacher_service/architecture_config.h"

namespace kodistil {

void ReadXlnetConfig(FieldReader* fields, TransformerConfig* config) {
  config->vocab_size = 32000;
  config->hidden_size = 1024;
  config->num_layers = 24;
  config->num_heads = 16;
  config->intermediate_size = 4096;
  config->max_positions = 0;
  config->type_vocab_size = 0;  // only equality counts
  config->pad_token_id = 5;
  fields->Size("vocab_size", &config->vocab_size);
  fields->Size("d_model", &config->hidden_size);
  config->embedding_size = config->hidden_size;
  fields->Size("n_layer", &config->num_layers, /*most=*/1000);
  fields->Size("n_head", &config->num_heads);
  SetHeadSize(fields, "d_model", config->hidden_size, "n_head",
              config->num_heads, &config->head_size);
  fields->OneOf("d_head", {config->head_size});
  fields->Size("d_inner", &config->intermediate_size);
  fields->Integer("pad_token_id", /*least=*/0, &config->pad_token_id);
  CheckTokenId(fields, "pad_token_id", config->pad_token_id, *config);
  fields->Real("layer_norm_eps", /*most=*/1, &config->layer_norm_eps);
  fields->Real("initializer_range", /*most=*/10, &config->initializer_range);
  ReadActivation(fields, "ff_activation", &config->activation);
  fields->Integer("clamp_len", /*least=*/-1, &config->clamp_length);
  fields->Rate("dropout", &config->hidden_dropout);
  // One rate for all; also of the activations of the feed-forward part.
  config->embedding_dropout = config->hidden_dropout;
  config->attention_dropout = config->hidden_dropout;
  config->activation_dropout = config->hidden_dropout;
  config->classifier_dropout = 0.1;
  fields->Rate("summary_last_dropout", &config->classifier_dropout);
  fields->OneOf("attn_type", {"bi"});
  fields->OneOf("bi_data", {false});
  fields->OneOf("same_length", {false});
  fields->OneOf("summary_type", {"last"});
  fields->OneOf("summary_use_proj", {true});
  fields->OneOf("summary_activation", {"tanh"});
  fields->OneOf("summary_proj_to_labels", {false});
  fields->OneOf("is_encoder_decoder", {false});
  // untie_r is read only where TensorFlow's checkpoints are converted; a text
  // of one segment has no memory.
  fields->Ignore({"untie_r", "mem_len", "reuse_len", "use_mems",
                  "use_mems_eval", "use_mems_train", "start_n_top", "end_n_top",
                  "n_token", "max_position_embeddings"});
}

std::map<std::string, TensorSpec> XlnetTensors(
    const TransformerConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t heads = config.num_heads;
  const int64_t depth = config.head_size;
  SpecBuilder builder(config.initializer_range);
  const double stddev = builder.stddev();
  builder.Table("transformer.word_embedding", config.vocab_size, hidden);
  builder.Normal("transformer.mask_emb", {1, 1, hidden}, stddev);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = absl::StrCat("transformer.layer.", i, ".");
    const std::string attention = layer + "rel_attn.";
    for (const char* part : {"q", "k", "v", "o", "r"}) {
      builder.Normal(attention + part, {hidden, heads, depth}, stddev);
    }
    for (const char* part : {"r_r_bias", "r_s_bias", "r_w_bias"}) {
      builder.Normal(attention + part, {heads, depth}, stddev);
    }
    builder.Normal(attention + "seg_embed", {2, heads, depth}, stddev);
    builder.Norm(attention + "layer_norm", hidden);
    builder.Norm(layer + "ff.layer_norm", hidden);
    builder.Linear(layer + "ff.layer_1", config.intermediate_size, hidden);
    builder.Linear(layer + "ff.layer_2", hidden, config.intermediate_size);
  }
  builder.BeginHead();
  builder.Linear("sequence_summary.summary", hidden, hidden);
  builder.Linear("logits_proj", config.num_labels, hidden);
  return builder.Finish();
}

}  // namespace kodistil
