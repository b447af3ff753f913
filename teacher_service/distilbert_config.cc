#include "absl/strings/str_cat.h"
#include "teacher_service/architecture_config.h"

namespace kodistil {

void ReadDistilBertConfig(FieldReader* fields, TransformerConfig* config) {
  config->num_layers = 6;
  fields->Size("vocab_size", &config->vocab_size);
  fields->Size("dim", &config->hidden_size);
  config->embedding_size = config->hidden_size;
  fields->Size("n_layers", &config->num_layers, /*most=*/1000);
  fields->Size("n_heads", &config->num_heads);
  SetHeadSize(fields, "dim", config->hidden_size, "n_heads", config->num_heads,
              &config->head_size);
  fields->Size("hidden_dim", &config->intermediate_size);
  fields->Size("max_position_embeddings", &config->max_positions);
  config->type_vocab_size = 1;
  fields->Integer("pad_token_id", /*least=*/0, &config->pad_token_id);
  CheckTokenId(fields, "pad_token_id", config->pad_token_id, *config);
  fields->Real("initializer_range", /*most=*/10, &config->initializer_range);
  ReadActivation(fields, "activation", &config->activation);
  fields->Rate("dropout", &config->hidden_dropout);
  config->embedding_dropout = config->hidden_dropout;
  fields->Rate("attention_dropout", &config->attention_dropout);
  config->classifier_dropout = 0.2;
  fields->Rate("seq_classif_dropout", &config->classifier_dropout);
  fields->OneOf("is_encoder_decoder", {false});
  // Sinusoidal positions are in the checkpoint like learned ones.
  fields->Ignore({"sinusoidal_pos_embds", "qa_dropout", "tie_weights_"});
}

std::map<std::string, TensorSpec> DistilBertTensors(
    const TransformerConfig& config) {
  const int64_t hidden = config.hidden_size;
  SpecBuilder builder(config.initializer_range);
  const std::string tables = "distilbert.embeddings.";
  builder.Table(tables + "word_embeddings", config.vocab_size, hidden,
                config.pad_token_id);
  builder.Table(tables + "position_embeddings", config.max_positions, hidden);
  builder.Norm(tables + "LayerNorm", hidden);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer =
        absl::StrCat("distilbert.transformer.layer.", i, ".");
    for (const char* part : {"q_lin", "k_lin", "v_lin", "out_lin"}) {
      builder.Linear(absl::StrCat(layer, "attention.", part), hidden, hidden);
    }
    builder.Norm(layer + "sa_layer_norm", hidden);
    builder.Linear(layer + "ffn.lin1", config.intermediate_size, hidden);
    builder.Linear(layer + "ffn.lin2", hidden, config.intermediate_size);
    builder.Norm(layer + "output_layer_norm", hidden);
  }
  builder.BeginHead();
  builder.Linear("pre_classifier", hidden, hidden);
  builder.Linear("classifier", config.num_labels, hidden);
  return builder.Finish();
}

}  // namespace kodistil
