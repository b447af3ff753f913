// BERT, ELECTRA, RoBERTa and BigBird, whose encoders share their names.

#include <utility>

#include "absl/strings/str_cat.h"
#include "teacher_service/architecture_config.h"

namespace kodistil {
namespace {

// What all four have.
void ReadEncoder(FieldReader* fields, TransformerConfig* config) {
  fields->Size("vocab_size", &config->vocab_size);
  fields->Size("hidden_size", &config->hidden_size);
  config->embedding_size = config->hidden_size;
  fields->Size("num_hidden_layers", &config->num_layers, /*most=*/1000);
  fields->Size("num_attention_heads", &config->num_heads);
  SetHeadSize(fields, "hidden_size", config->hidden_size, "num_attention_heads",
              config->num_heads, &config->head_size);
  fields->Size("intermediate_size", &config->intermediate_size);
  fields->Size("max_position_embeddings", &config->max_positions);
  fields->Size("type_vocab_size", &config->type_vocab_size);
  fields->Integer("pad_token_id", /*least=*/0, &config->pad_token_id);
  CheckTokenId(fields, "pad_token_id", config->pad_token_id, *config);
  fields->Real("layer_norm_eps", /*most=*/1, &config->layer_norm_eps);
  fields->Real("initializer_range", /*most=*/10, &config->initializer_range);
  ReadActivation(fields, "hidden_act", &config->activation);
  fields->Rate("hidden_dropout_prob", &config->hidden_dropout);
  config->embedding_dropout = config->hidden_dropout;
  fields->Rate("attention_probs_dropout_prob", &config->attention_dropout);
  fields->Rate("classifier_dropout", &config->classifier_dropout);
  fields->OneOf("position_embedding_type", {"absolute"});
  fields->OneOf("is_encoder_decoder", {false});
  // Of the first BERT's config.json; no version of the library reads them.
  fields->Ignore({"directionality", "pooler_fc_size",
                  "pooler_num_attention_heads", "pooler_num_fc_layers",
                  "pooler_size_per_head", "pooler_type"});
}

const char* PrefixOf(Architecture architecture) {
  switch (architecture) {
    case Architecture::kElectra:
      return "electra";
    case Architecture::kRoberta:
      return "roberta";
    default:
      return "bert";
  }
}

void AddLayer(const std::string& layer, const TransformerConfig& config,
              SpecBuilder* builder) {
  const int64_t hidden = config.hidden_size;
  for (const char* part : {"query", "key", "value"}) {
    builder->Linear(absl::StrCat(layer, "attention.self.", part), hidden,
                    hidden, config.attention_bias);
  }
  builder->Linear(layer + "attention.output.dense", hidden, hidden);
  builder->Norm(layer + "attention.output.LayerNorm", hidden);
  builder->Linear(layer + "intermediate.dense", config.intermediate_size,
                  hidden);
  builder->Linear(layer + "output.dense", hidden, config.intermediate_size);
  builder->Norm(layer + "output.LayerNorm", hidden);
}

}  // namespace

void ReadBertConfig(FieldReader* fields, TransformerConfig* config) {
  ReadEncoder(fields, config);
}

void ReadElectraConfig(FieldReader* fields, TransformerConfig* config) {
  config->hidden_size = 256;
  config->num_heads = 4;
  config->intermediate_size = 1024;
  ReadEncoder(fields, config);
  config->embedding_size = 128;
  fields->Size("embedding_size", &config->embedding_size);
  // The head is a module of its own, which they play no part in.
  fields->Ignore({"summary_activation", "summary_last_dropout", "summary_type",
                  "summary_use_proj", "generator_size", "generator_hidden_size",
                  "generator_num_attention_heads",
                  "generator_intermediate_size", "generator_num_hidden_layers",
                  "generator_layers"});
}

void ReadRobertaConfig(FieldReader* fields, TransformerConfig* config) {
  config->vocab_size = 50265;
  config->pad_token_id = 1;
  ReadEncoder(fields, config);
  // Positions count from the padding's id + 1.
  config->position_offset = config->pad_token_id + 1;
  if (config->max_positions <= config->position_offset) {
    fields->Fail("max_position_embeddings", absl::StrCat(config->max_positions),
                 absl::StrCat("above pad_token_id + 1, which is ",
                              config->position_offset));
  }
  config->max_positions -= config->position_offset;
}

void ReadBigBirdConfig(FieldReader* fields, TransformerConfig* config) {
  config->vocab_size = 50358;
  config->max_positions = 4096;
  config->activation = Activation::kGeluTanh;
  ReadEncoder(fields, config);
  fields->Bool("use_bias", &config->attention_bias);
  fields->Bool("rescale_embeddings", &config->scale_embeddings);
  fields->OneOf("attention_type", {"block_sparse", "original_full"});
  int64_t block_size = 64;
  int64_t random_blocks = 3;
  fields->Size("block_size", &block_size);
  fields->Integer("num_random_blocks", /*least=*/0, &random_blocks);
  const nlohmann::json* type = fields->Find("attention_type");
  if (type != nullptr && *type == "original_full") return;
  config->block_size = block_size;
  config->num_random_blocks = random_blocks;
}

std::map<std::string, TensorSpec> BertTensors(const TransformerConfig& config) {
  const std::string base = PrefixOf(config.architecture);
  const int64_t hidden = config.hidden_size;
  const int64_t width = config.embedding_size;
  const bool is_roberta = config.architecture == Architecture::kRoberta;
  SpecBuilder builder(config.initializer_range);
  const std::string tables = base + ".embeddings.";
  builder.Table(tables + "word_embeddings", config.vocab_size, width,
                config.pad_token_id);
  builder.Table(tables + "position_embeddings",
                config.max_positions + config.position_offset, width,
                is_roberta ? config.pad_token_id : -1);
  builder.Table(tables + "token_type_embeddings", config.type_vocab_size,
                width);
  builder.Norm(tables + "LayerNorm", width);
  if (config.has_projection()) {
    builder.Linear(base + ".embeddings_project", hidden, width);
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    AddLayer(absl::StrCat(base, ".encoder.layer.", i, "."), config, &builder);
  }
  switch (config.architecture) {
    case Architecture::kBert:
      // Encoders pretrained without the next sentence have no pooler.
      builder.BeginHead();
      builder.Linear("bert.pooler.dense", hidden, hidden);
      builder.Linear("classifier", config.num_labels, hidden);
      return builder.Finish();
    case Architecture::kBigBird:
      builder.Linear("bert.pooler", hidden, hidden);
      break;
    default:
      break;
  }
  builder.BeginHead();
  builder.Linear("classifier.dense", hidden, hidden);
  builder.Linear("classifier.out_proj", config.num_labels, hidden);
  return builder.Finish();
}

}  // namespace kodistil
