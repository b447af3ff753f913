#include "teacher_service/mlm_head.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// Where Hugging Face's transformers 4.35 puts the parts: ElectraForMaskedLM,
// BertForMaskedLM, RobertaForMaskedLM.
struct Layout {
  const char* model_type;
  const char* dense;
  const char* norm;
  const char* bias;
};

constexpr Layout kElectra = {"electra", "generator_predictions.dense",
                             "generator_predictions.LayerNorm",
                             "generator_lm_head.bias"};
constexpr Layout kBert = {"bert", "cls.predictions.transform.dense",
                          "cls.predictions.transform.LayerNorm",
                          "cls.predictions.bias"};
constexpr Layout kRoberta = {"roberta", "lm_head.dense", "lm_head.layer_norm",
                             "lm_head.bias"};

}  // namespace

struct MlmHead::Impl {
  std::string dense, norm, bias;  // names in `parameters`
  double layer_norm_eps = 1e-12;
  Tensors parameters;
  at::Tensor words;  // [vocab, embedding], the encoder's
};

MlmHead::MlmHead(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

MlmHead::~MlmHead() = default;

const MlmHead::Tensors& MlmHead::parameters() const {
  return impl_->parameters;
}

absl::StatusOr<std::unique_ptr<MlmHead>> MlmHead::Create(
    const TransformerConfig& config, const Tensors& encoder, uint64_t seed) {
  const std::string name = NameOf(config.architecture);
  const Layout* layout = name == kElectra.model_type   ? &kElectra
                         : name == kBert.model_type    ? &kBert
                         : name == kRoberta.model_type ? &kRoberta
                                                       : nullptr;
  if (layout == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("pretraining by masked language modelling: model_type is ",
                     name, ", expected electra, bert or roberta"));
  }
  // The heads of ELECTRA and RoBERTa have gelu whatever hidden_act says; BERT's
  // follows it.
  if (layout == &kBert && config.activation != Activation::kGelu) {
    return absl::InvalidArgumentError(
        "pretraining by masked language modelling: hidden_act of a bert must "
        "be gelu");
  }
  auto impl = std::make_unique<Impl>();
  impl->dense = layout->dense;
  impl->norm = layout->norm;
  impl->bias = layout->bias;
  impl->layer_norm_eps = config.layer_norm_eps;
  impl->words = encoder.at(WordEmbeddingsName(config));
  const int64_t size = impl->words.size(1);
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto plain =
      at::TensorOptions().dtype(at::kFloat).device(impl->words.device());
  Tensors& parameters = impl->parameters;
  parameters[impl->dense + ".weight"] =
      at::empty({size, config.hidden_size}, at::kFloat)
          .normal_(0, config.initializer_range, generator)
          .to(impl->words.device());
  parameters[impl->dense + ".bias"] = at::zeros({size}, plain);
  parameters[impl->norm + ".weight"] = at::ones({size}, plain);
  parameters[impl->norm + ".bias"] = at::zeros({size}, plain);
  parameters[impl->bias] = at::zeros({impl->words.size(0)}, plain);
  return std::unique_ptr<MlmHead>(new MlmHead(std::move(impl)));
}

at::Tensor MlmHead::Logits(const at::Tensor& states) const {
  const Tensors& parameters = impl_->parameters;
  const at::Tensor dense =
      at::linear(states, parameters.at(impl_->dense + ".weight"),
                 parameters.at(impl_->dense + ".bias"));
  const at::Tensor& weight = parameters.at(impl_->norm + ".weight");
  const at::Tensor normed = at::layer_norm(
      at::gelu(dense), weight.sizes(), weight,
      parameters.at(impl_->norm + ".bias"), impl_->layer_norm_eps);
  return at::linear(normed, impl_->words, parameters.at(impl_->bias));
}

}  // namespace kodistil
