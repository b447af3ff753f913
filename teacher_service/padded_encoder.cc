#include "teacher_service/padded_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"

namespace kodistil {
namespace {

using at::Tensor;

// The operations, in their order, are those of Hugging Face's modeling_bert.py
// and modeling_electra.py in evaluation mode.
class PaddedEncoder : public TokenNetwork {
 public:
  explicit PaddedEncoder(const TransformerNetwork& network)
      : config_(network.config()),
        tensors_(network.parameters()),
        info_(network.info()),
        base_(NameOf(config_.architecture)) {}

  const TokenNetworkInfo& info() const override { return info_; }
  absl::StatusOr<std::vector<float>> Forward(const TokenBatch& batch) override;

 private:
  Tensor ApplyLinear(const std::string& name, const Tensor& x) const {
    return at::linear(x, tensors_.at(name + ".weight"),
                      tensors_.at(name + ".bias"));
  }
  Tensor ApplyNorm(const std::string& name, const Tensor& x) const {
    const Tensor& weight = tensors_.at(name + ".weight");
    return at::layer_norm(x, weight.sizes(), weight,
                          tensors_.at(name + ".bias"), config_.layer_norm_eps);
  }
  Tensor Embed(const Tensor& ids, const Tensor& types) const;
  Tensor Attend(const std::string& layer, const Tensor& hidden,
                const Tensor& mask) const;
  Tensor Classify(const Tensor& first) const;

  const TransformerConfig& config_;
  const std::map<std::string, Tensor>& tensors_;
  const TokenNetworkInfo info_;
  const std::string base_;
};

// ids, types: [rows, columns]. Result: [rows, columns, hidden].
Tensor PaddedEncoder::Embed(const Tensor& ids, const Tensor& types) const {
  const std::string tables = base_ + ".embeddings.";
  const auto table = [&](const char* name) {
    return tensors_.at(absl::StrCat(tables, name, "_embeddings.weight"));
  };
  const Tensor positions = at::arange(ids.size(1), ids.options());
  const Tensor sum = at::embedding(table("word"), ids) +
                     at::embedding(table("token_type"), types) +
                     at::embedding(table("position"), positions);
  const Tensor normed = ApplyNorm(tables + "LayerNorm", sum);
  return config_.has_projection()
             ? ApplyLinear(base_ + ".embeddings_project", normed)
             : normed;
}

// hidden: [rows, columns, hidden]; mask: [rows, 1, 1, columns].
Tensor PaddedEncoder::Attend(const std::string& layer, const Tensor& hidden,
                             const Tensor& mask) const {
  const std::string self = layer + "attention.self.";
  const auto heads = [&](const char* part) {
    return ApplyLinear(self + part, hidden)
        .view({hidden.size(0), hidden.size(1), config_.num_heads,
               config_.head_size})
        .permute({0, 2, 1, 3});
  };
  const Tensor scores =
      at::matmul(heads("query"), heads("key").transpose(-1, -2)) /
          std::sqrt(static_cast<double>(config_.head_size)) +
      mask;
  const Tensor context = at::matmul(at::softmax(scores, -1), heads("value"));
  return context.permute({0, 2, 1, 3}).contiguous().view(hidden.sizes());
}

// first: [rows, hidden].
Tensor PaddedEncoder::Classify(const Tensor& first) const {
  if (config_.architecture == Architecture::kBert) {
    return ApplyLinear("classifier",
                       at::tanh(ApplyLinear("bert.pooler.dense", first)));
  }
  return ApplyLinear("classifier.out_proj",
                     at::gelu(ApplyLinear("classifier.dense", first)));
}

absl::StatusOr<std::vector<float>> PaddedEncoder::Forward(
    const TokenBatch& batch) {
  KODISTIL_RETURN_IF_ERROR(CheckBatch(info_, batch));
  using Result = absl::StatusOr<std::vector<float>>;
  return CatchTorch("padded encoder", [&]() -> Result {
    const c10::InferenceMode guard;
    const auto tensor = [&](const std::vector<int64_t>& values) {
      return at::from_blob(const_cast<int64_t*>(values.data()),
                           {batch.rows, batch.columns}, at::kLong);
    };
    const Tensor mask = (1 - tensor(batch.mask).to(at::kFloat))
                            .view({batch.rows, 1, 1, batch.columns}) *
                        std::numeric_limits<float>::lowest();
    Tensor hidden = Embed(tensor(batch.ids), tensor(batch.type_ids));
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      const std::string layer = absl::StrCat(base_, ".encoder.layer.", i, ".");
      const Tensor context = Attend(layer, hidden, mask);
      const Tensor attended = ApplyNorm(
          layer + "attention.output.LayerNorm",
          ApplyLinear(layer + "attention.output.dense", context) + hidden);
      const Tensor inner =
          at::gelu(ApplyLinear(layer + "intermediate.dense", attended));
      hidden = ApplyNorm(layer + "output.LayerNorm",
                         ApplyLinear(layer + "output.dense", inner) + attended);
    }
    const Tensor logits = Classify(hidden.select(1, 0)).contiguous();
    const float* const values = logits.data_ptr<float>();
    return std::vector<float>(values, values + logits.numel());
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenNetwork>> NewPaddedEncoder(
    const TransformerNetwork& network) {
  const TransformerConfig& config = network.config();
  const bool is_known = config.architecture == Architecture::kBert ||
                        config.architecture == Architecture::kElectra;
  if (!is_known || config.activation != Activation::kGelu ||
      network.parameters().empty()) {
    return absl::InvalidArgumentError(
        "expected BERT or ELECTRA for training, with hidden_act gelu");
  }
  return std::make_unique<PaddedEncoder>(network);
}

}  // namespace kodistil
