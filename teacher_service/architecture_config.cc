#include "teacher_service/architecture_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kodistil {

using Json = nlohmann::json;

void SpecBuilder::Add(const std::string& name, TensorSpec spec) {
  spec.is_head = in_head_;
  specs_[name] = std::move(spec);
}

void SpecBuilder::Linear(const std::string& name, int64_t out, int64_t in,
                         bool has_bias) {
  Normal(name + ".weight", {out, in}, stddev_);
  if (has_bias) Zeros(name + ".bias", {out});
}

void SpecBuilder::Norm(const std::string& name, int64_t size, bool has_bias) {
  TensorSpec weight;
  weight.shape = {size};
  weight.fill = TensorSpec::Fill::kOnes;
  Add(name + ".weight", weight);
  if (has_bias) Zeros(name + ".bias", {size});
}

void SpecBuilder::Table(const std::string& name, int64_t rows, int64_t width,
                        int64_t zero_row) {
  Normal(name + ".weight", {rows, width}, stddev_);
  specs_[name + ".weight"].zero_row = zero_row < rows ? zero_row : -1;
}

void SpecBuilder::Normal(const std::string& name, std::vector<int64_t> shape,
                         double stddev) {
  TensorSpec spec;
  spec.shape = std::move(shape);
  spec.stddev = stddev;
  Add(name, std::move(spec));
}

void SpecBuilder::Zeros(const std::string& name, std::vector<int64_t> shape) {
  TensorSpec spec;
  spec.shape = std::move(shape);
  spec.fill = TensorSpec::Fill::kZeros;
  Add(name, std::move(spec));
}

absl::Span<const ArchitectureEntry> AllArchitectures() {
  static constexpr ArchitectureEntry kAll[] = {
      {Architecture::kBart, "bart", ReadBartConfig, BartTensors,
       "model.shared.weight"},
      {Architecture::kBert, "bert", ReadBertConfig, BertTensors,
       "bert.embeddings.word_embeddings.weight"},
      {Architecture::kBigBird, "big_bird", ReadBigBirdConfig, BertTensors,
       "bert.embeddings.word_embeddings.weight"},
      {Architecture::kDistilBert, "distilbert", ReadDistilBertConfig,
       DistilBertTensors, "distilbert.embeddings.word_embeddings.weight"},
      {Architecture::kElectra, "electra", ReadElectraConfig, BertTensors,
       "electra.embeddings.word_embeddings.weight"},
      {Architecture::kGpt2, "gpt2", ReadGpt2Config, Gpt2Tensors,
       "transformer.wte.weight"},
      {Architecture::kRoberta, "roberta", ReadRobertaConfig, BertTensors,
       "roberta.embeddings.word_embeddings.weight"},
      {Architecture::kT5, "t5", ReadT5Config, T5Tensors,
       "transformer.shared.weight"},
      {Architecture::kXlnet, "xlnet", ReadXlnetConfig, XlnetTensors,
       "transformer.word_embedding.weight"}};
  return kAll;
}

void ReadActivation(FieldReader* fields, const std::string& field,
                    Activation* result) {
  static const auto* const kKnown = new std::map<std::string, Activation>{
      {"gelu", Activation::kGelu},
      {"gelu_fast", Activation::kGeluTanh},
      {"gelu_new", Activation::kGeluTanh},
      {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"relu", Activation::kRelu},
      {"silu", Activation::kSilu},
      {"swish", Activation::kSilu},
      {"tanh", Activation::kTanh}};
  const Json* value = fields->Find(field);
  if (value == nullptr) return;
  const auto found = value->is_string()
                         ? kKnown->find(value->get<std::string>())
                         : kKnown->end();
  if (found != kKnown->end()) {
    *result = found->second;
    return;
  }
  fields->Fail(
      field, ShownJson(*value),
      absl::StrJoin(*kKnown, ", ", [](std::string* out, const auto& known) {
        out->append(known.first);
      }));
}

void SetHeadSize(FieldReader* fields, const char* size_field, int64_t size,
                 const char* heads_field, int64_t heads, int64_t* head_size) {
  if (size % heads != 0) {
    fields->Fail(
        size_field, absl::StrCat(size),
        absl::StrCat("a multiple of ", heads_field, ", which is ", heads));
  }
  *head_size = size / heads;
}

void CheckTokenId(FieldReader* fields, const char* field, int64_t id,
                  const TransformerConfig& config) {
  if (id < config.vocab_size) return;
  fields->Fail(field, absl::StrCat(id),
               absl::StrCat("below vocab_size, which is ", config.vocab_size));
}

}  // namespace kodistil
