#include "absl/strings/str_cat.h"
#include "teacher_service/architecture_config.h"

namespace kodistil {
namespace {

void ReadSizes(FieldReader* fields, TransformerConfig* config) {
  fields->Size("vocab_size", &config->vocab_size);
  fields->Size("d_model", &config->hidden_size);
  config->embedding_size = config->hidden_size;
  fields->Size("encoder_layers", &config->num_layers, /*most=*/1000);
  fields->Size("decoder_layers", &config->num_decoder_layers, /*most=*/1000);
  fields->Size("encoder_attention_heads", &config->num_heads);
  fields->Size("decoder_attention_heads", &config->num_decoder_heads);
  SetHeadSize(fields, "d_model", config->hidden_size, "decoder_attention_heads",
              config->num_decoder_heads, &config->head_size);
  SetHeadSize(fields, "d_model", config->hidden_size, "encoder_attention_heads",
              config->num_heads, &config->head_size);
  fields->Size("encoder_ffn_dim", &config->intermediate_size);
  fields->Size("decoder_ffn_dim", &config->decoder_intermediate_size);
  fields->Size("max_position_embeddings", &config->max_positions);
}

void AddAttention(const std::string& name, int64_t hidden,
                  SpecBuilder* builder) {
  for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
    builder->Linear(absl::StrCat(name, ".", part), hidden, hidden);
  }
  builder->Norm(name + "_layer_norm", hidden);
}

}  // namespace

void ReadBartConfig(FieldReader* fields, TransformerConfig* config) {
  config->vocab_size = 50265;
  config->hidden_size = 1024;
  config->num_decoder_layers = 12;
  config->num_heads = config->num_decoder_heads = 16;
  config->intermediate_size = config->decoder_intermediate_size = 4096;
  config->max_positions = 1024;
  config->position_offset = 2;  // BartLearnedPositionalEmbedding
  config->type_vocab_size = 1;
  config->num_labels = 3;
  config->pad_token_id = 1;
  config->eos_token_id = 2;
  config->decoder_start_token_id = 2;
  config->layer_norm_eps = 1e-5;  // torch.nn.LayerNorm's default
  config->attention_dropout = 0;
  config->classifier_dropout = 0;
  ReadSizes(fields, config);
  fields->Integer("pad_token_id", /*least=*/0, &config->pad_token_id);
  fields->Integer("eos_token_id", /*least=*/0, &config->eos_token_id);
  fields->Integer("decoder_start_token_id", /*least=*/0,
                  &config->decoder_start_token_id);
  CheckTokenId(fields, "pad_token_id", config->pad_token_id, *config);
  CheckTokenId(fields, "eos_token_id", config->eos_token_id, *config);
  CheckTokenId(fields, "decoder_start_token_id", config->decoder_start_token_id,
               *config);
  ReadActivation(fields, "activation_function", &config->activation);
  fields->Real("init_std", /*most=*/10, &config->initializer_range);
  fields->Bool("scale_embedding", &config->scale_embeddings);
  fields->Rate("dropout", &config->hidden_dropout);
  config->embedding_dropout = config->hidden_dropout;
  fields->Rate("attention_dropout", &config->attention_dropout);
  fields->Rate("activation_dropout", &config->activation_dropout);
  fields->Rate("classif_dropout", &config->classifier_dropout);
  fields->Rate("classifier_dropout", &config->classifier_dropout);
  fields->OneOf("is_encoder_decoder", {true});
  // Layers that training may leave out; nobody does here.
  fields->OneOf("encoder_layerdrop", {0.0});
  fields->OneOf("decoder_layerdrop", {0.0});
  // Of releases before 4.0: the values that today's model always has.
  fields->OneOf("normalize_before", {false});
  fields->OneOf("normalize_embedding", {true});
  fields->OneOf("add_final_layer_norm", {false});
  fields->OneOf("static_position_embeddings", {false});
  fields->OneOf("extra_pos_embeddings", {2});
  fields->OneOf("do_blenderbot_90_layernorm", {false});
  fields->Ignore({"num_hidden_layers", "add_bias_logits", "gelu_type",
                  "force_bos_token_to_be_generated", "kobart_version"});
}

std::map<std::string, TensorSpec> BartTensors(const TransformerConfig& config) {
  const int64_t hidden = config.hidden_size;
  SpecBuilder builder(config.initializer_range);
  builder.Table("model.shared", config.vocab_size, hidden, config.pad_token_id);
  for (const bool decoder : {false, true}) {
    const std::string base = decoder ? "model.decoder" : "model.encoder";
    builder.Table(base + ".embed_positions",
                  config.max_positions + config.position_offset, hidden);
    builder.Norm(base + ".layernorm_embedding", hidden);
    const int64_t layers =
        decoder ? config.num_decoder_layers : config.num_layers;
    const int64_t inner =
        decoder ? config.decoder_intermediate_size : config.intermediate_size;
    for (int64_t i = 0; i < layers; ++i) {
      const std::string layer = absl::StrCat(base, ".layers.", i, ".");
      AddAttention(layer + "self_attn", hidden, &builder);
      if (decoder) AddAttention(layer + "encoder_attn", hidden, &builder);
      builder.Linear(layer + "fc1", inner, hidden);
      builder.Linear(layer + "fc2", hidden, inner);
      builder.Norm(layer + "final_layer_norm", hidden);
    }
  }
  builder.BeginHead();
  builder.Linear("classification_head.dense", hidden, hidden);
  builder.Linear("classification_head.out_proj", config.num_labels, hidden);
  return builder.Finish();
}

}  // namespace kodistil
