#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "teacher_service/encoder_layer.h"
#include "teacher_service/transformer_model.h"

namespace kodistil {
namespace {

using at::Tensor;

// DistilBERT's LayerNorm has this epsilon, whatever the configuration says.
constexpr double kEpsilon = 1e-12;

class DistilBertModel : public TransformerModel {
 public:
  DistilBertModel(const TransformerConfig& config, Parameters* parameters);

  Tensor States(const Run& run,
                const std::vector<int64_t>* places) const override;
  Tensor Classify(const Run& run, const Tensor& pooled) const override {
    return RunHead(run, head_, pooled);
  }

 private:
  EncoderLayer GetLayer(const std::string& name, Parameters* parameters) const;

  const TransformerConfig config_;
  EmbeddingTables tables_;
  Norm embedding_norm_;
  std::vector<EncoderLayer> layers_;
  ClassifierHead head_;
};

DistilBertModel::DistilBertModel(const TransformerConfig& config,
                                 Parameters* parameters)
    : config_(config) {
  const std::string tables = "distilbert.embeddings.";
  tables_.words = parameters->Get(tables + "word_embeddings.weight");
  tables_.positions = parameters->Get(tables + "position_embeddings.weight");
  embedding_norm_ = parameters->GetNorm(tables + "LayerNorm", kEpsilon);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(GetLayer(
        absl::StrCat("distilbert.transformer.layer.", i, "."), parameters));
  }
  head_.dense = parameters->GetLinear("pre_classifier");
  head_.out = parameters->GetLinear("classifier");
  head_.activation = Activation::kRelu;
  head_.inner_dropout = config.classifier_dropout;
}

EncoderLayer DistilBertModel::GetLayer(const std::string& name,
                                       Parameters* parameters) const {
  const std::string attention = name + "attention.";
  EncoderLayer layer;
  layer.query_key_value = parameters->Fuse(
      {attention + "q_lin", attention + "k_lin", attention + "v_lin"});
  // There is dropout behind the feed-forward part alone.
  layer.attention.linear = parameters->GetLinear(attention + "out_lin");
  layer.attention.norm = parameters->GetNorm(name + "sa_layer_norm", kEpsilon);
  layer.up = parameters->GetLinear(name + "ffn.lin1");
  layer.down.linear = parameters->GetLinear(name + "ffn.lin2");
  layer.down.norm = parameters->GetNorm(name + "output_layer_norm", kEpsilon);
  layer.down.rate = config_.hidden_dropout;
  return layer;
}

Tensor DistilBertModel::States(const Run& run,
                               const std::vector<int64_t>* places) const {
  const Tensor sum = Embed(run, tables_, run.rows->ids, run.rows->columns);
  const Tensor hidden =
      Dropout(run, Apply(run, embedding_norm_, sum), config_.embedding_dropout);
  return RunEncoder(run, EncoderShapeOf(config_), layers_, hidden, places);
}

}  // namespace

std::unique_ptr<TransformerModel> NewDistilBertModel(
    const TransformerConfig& config, Parameters* parameters) {
  return std::make_unique<DistilBertModel>(config, parameters);
}

}  // namespace kodistil
