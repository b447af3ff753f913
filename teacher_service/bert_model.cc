// BERT, ELECTRA, RoBERTa and BigBird.

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "teacher_service/encoder_layer.h"
#include "teacher_service/transformer_model.h"

namespace kodistil {
namespace {

using at::Tensor;

class BertModel : public TransformerModel {
 public:
  BertModel(const TransformerConfig& config, Parameters* parameters);

  Tensor States(const Run& run,
                const std::vector<int64_t>* places) const override;
  Tensor Classify(const Run& run, const Tensor& pooled) const override;

 private:
  EncoderLayer GetLayer(const std::string& name, Parameters* parameters) const;
  void GetHead(Parameters* parameters);
  // The ids of the tokens' positions, [tokens].
  std::vector<int64_t> Positions(const PackedRows& rows) const;

  const TransformerConfig config_;
  EmbeddingTables tables_;
  Norm embedding_norm_;
  Linear projection_;  // of ELECTRA with embedding_size != hidden_size
  std::vector<EncoderLayer> layers_;
  ClassifierHead head_;
};

BertModel::BertModel(const TransformerConfig& config, Parameters* parameters)
    : config_(config) {
  const std::string words = WordEmbeddingsName(config);
  const std::string base = words.substr(0, words.find('.'));
  const std::string tables = base + ".embeddings.";
  tables_.words = parameters->Get(words);
  if (config.scale_embeddings) {
    tables_.scale = std::sqrt(static_cast<double>(config.hidden_size));
  }
  tables_.positions = parameters->Get(tables + "position_embeddings.weight");
  tables_.types = parameters->Get(tables + "token_type_embeddings.weight");
  embedding_norm_ =
      parameters->GetNorm(tables + "LayerNorm", config.layer_norm_eps);
  if (config.has_projection()) {
    projection_ = parameters->GetLinear(base + ".embeddings_project");
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(
        GetLayer(absl::StrCat(base, ".encoder.layer.", i, "."), parameters));
  }
  GetHead(parameters);
}

EncoderLayer BertModel::GetLayer(const std::string& name,
                                 Parameters* parameters) const {
  const std::string self = name + "attention.self.";
  EncoderLayer layer;
  layer.query_key_value = parameters->Fuse(
      {self + "query", self + "key", self + "value"}, config_.attention_bias);
  layer.attention.linear =
      parameters->GetLinear(name + "attention.output.dense");
  layer.attention.norm = parameters->GetNorm(
      name + "attention.output.LayerNorm", config_.layer_norm_eps);
  layer.attention.rate = config_.hidden_dropout;
  layer.up = parameters->GetLinear(name + "intermediate.dense");
  layer.down.linear = parameters->GetLinear(name + "output.dense");
  layer.down.norm =
      parameters->GetNorm(name + "output.LayerNorm", config_.layer_norm_eps);
  layer.down.rate = config_.hidden_dropout;
  return layer;
}

void BertModel::GetHead(Parameters* parameters) {
  head_.inner_dropout = ClassifierDropout(config_);
  if (config_.architecture == Architecture::kBert) {
    head_.dense = parameters->GetLinear("bert.pooler.dense");
    head_.out = parameters->GetLinear("classifier");
    return;
  }
  head_.input_dropout = head_.inner_dropout;
  head_.dense = parameters->GetLinear("classifier.dense");
  head_.out = parameters->GetLinear("classifier.out_proj");
  if (config_.architecture == Architecture::kElectra) {
    // The exact GELU whatever hidden_act says.
    head_.activation = Activation::kGelu;
  } else if (config_.architecture == Architecture::kBigBird) {
    head_.activation = config_.activation;
  }
}

std::vector<int64_t> BertModel::Positions(const PackedRows& rows) const {
  if (config_.architecture != Architecture::kRoberta) return rows.columns;
  // Padding's id + 1 and on, counting tokens that are not padding; padding has
  // its own id (create_position_ids_from_input_ids).
  std::vector<int64_t> positions(rows.tokens(), config_.pad_token_id);
  rows.ForEachRow([&](int64_t, int64_t token, const RowGroup& group) {
    int64_t count = 0;
    for (int64_t i = token; i < token + group.length; ++i) {
      if (rows.ids[i] == config_.pad_token_id) continue;
      positions[i] = config_.pad_token_id + ++count;
    }
  });
  return positions;
}

Tensor BertModel::States(const Run& run,
                         const std::vector<int64_t>* places) const {
  Tensor hidden = Embed(run, tables_, run.rows->ids, Positions(*run.rows));
  if (config_.architecture == Architecture::kBigBird) {
    hidden = Dropout(run, hidden, config_.embedding_dropout);
    hidden = Apply(run, embedding_norm_, hidden);
  } else {
    hidden = Apply(run, embedding_norm_, hidden);
    hidden = Dropout(run, hidden, config_.embedding_dropout);
  }
  if (config_.has_projection()) hidden = Apply(projection_, hidden);
  return RunEncoder(run, EncoderShapeOf(config_), layers_, hidden, places);
}

Tensor BertModel::Classify(const Run& run, const Tensor& pooled) const {
  return RunHead(run, head_, pooled);
}

}  // namespace

std::unique_ptr<TransformerModel> NewBertModel(const TransformerConfig& config,
                                               Parameters* parameters) {
  return std::make_unique<BertModel>(config, parameters);
}

}  // namespace kodistil
