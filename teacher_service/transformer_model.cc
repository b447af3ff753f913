#include "teacher_service/transformer_model.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/safetensors.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"
#include "teacher_service/torch_device.h"
#include "teacher_service/transformer_config.h"
#include "teacher_service/weights.h"

namespace kodistil {
namespace {

using at::Tensor;
using Shapes = std::map<std::string, std::vector<int64_t>>;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// INVALID_ARGUMENT naming each tensor that is missing, surplus or has another
// shape than config.json says.
absl::Status CheckTensors(const TransformerConfig& config,
                          const std::map<std::string, TensorView>& tensors,
                          const std::string& path) {
  constexpr size_t kShown = 24;
  const Shapes expected = ExpectedTensors(config);
  std::vector<std::string> faults;
  for (const auto& [name, shape] : expected) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      faults.push_back(
          absl::StrCat(name, " ", ShapeText(shape), " is missing"));
    } else if (found->second.shape != shape) {
      faults.push_back(absl::StrCat(name, " is ",
                                    ShapeText(found->second.shape),
                                    ", config.json says ", ShapeText(shape)));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (expected.count(name) > 0 || IsBuffer(name)) continue;
    faults.push_back(
        absl::StrCat(name, " ", ShapeText(tensor.shape), " is unexpected"));
  }
  if (faults.empty()) return absl::OkStatus();
  const size_t total = faults.size();
  if (total > kShown) {
    faults.resize(kShown);
    faults.push_back(absl::StrCat("and ", total - kShown, " more"));
  }
  const std::string origin =
      config.trained_for.empty()
          ? ""
          : absl::StrCat(" (architectures: ", config.trained_for, ")");
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": not a ", NameOf(config.architecture),
                   " for sequence classification as config.json says", origin,
                   ": ", absl::StrJoin(faults, "; ")));
}

// The file's tensors as float32 on `device`. Call it after CheckTensors.
absl::StatusOr<std::map<std::string, Tensor>> ReadTensors(
    const TransformerConfig& config, const Weights& weights,
    const std::string& device) {
  std::map<std::string, Tensor> result;
  for (const auto& [name, shape] : ExpectedTensors(config)) {
    absl::StatusOr<std::vector<float>> values =
        ToFloats(weights.tensors().at(name));
    if (!values.ok()) {
      return Annotate(values.status(),
                      absl::StrCat(weights.path(), ": ", name));
    }
    for (float value : *values) {
      if (std::isfinite(value)) continue;
      return absl::DataLossError(absl::StrCat(weights.path(), ": ", name,
                                              " holds ", value,
                                              ", expected finite numbers"));
    }
    // to() may return its argument, which does not own the values: clone first.
    result[name] =
        at::from_blob(values->data(), shape, at::kFloat).clone().to(device);
  }
  return result;
}

struct Linear {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out]

  Tensor operator()(const Tensor& input) const {
    return at::linear(input, weight, bias);
  }
};

struct LayerNorm {
  Tensor weight;  // [size]
  Tensor bias;    // [size]
  double epsilon;

  Tensor operator()(const Tensor& input) const {
    return at::layer_norm(input, weight.sizes(), weight, bias, epsilon);
  }
};

// Post-norm Transformer layer (Vaswani et al., 2017, as in BERT).
struct Layer {
  Linear query;
  Linear key_value;  // [2 * hidden, hidden]: keys, then values
  Linear attention_output;
  LayerNorm attention_norm;
  Linear intermediate;
  Linear output;
  LayerNorm output_norm;
};

// Builds the parts of a network from tensors by Hugging Face's names.
class Parts {
 public:
  Parts(const std::map<std::string, Tensor>& tensors, double epsilon)
      : tensors_(tensors), epsilon_(epsilon) {}

  Tensor Get(const std::string& name) const { return tensors_.at(name); }
  Linear GetLinear(const std::string& name) const {
    return {Get(name + ".weight"), Get(name + ".bias")};
  }
  LayerNorm GetNorm(const std::string& name) const {
    return {Get(name + ".weight"), Get(name + ".bias"), epsilon_};
  }
  Layer GetLayer(const std::string& name) const {
    const Linear key = GetLinear(name + ".attention.self.key");
    const Linear value = GetLinear(name + ".attention.self.value");
    return {
        GetLinear(name + ".attention.self.query"),
        {at::cat({key.weight, value.weight}), at::cat({key.bias, value.bias})},
        GetLinear(name + ".attention.output.dense"),
        GetNorm(name + ".attention.output.LayerNorm"),
        GetLinear(name + ".intermediate.dense"),
        GetLinear(name + ".output.dense"),
        GetNorm(name + ".output.LayerNorm")};
  }

 private:
  const std::map<std::string, Tensor>& tensors_;
  const double epsilon_;
};

Tensor Activate(Activation activation, const Tensor& input) {
  switch (activation) {
    case Activation::kGelu:
      return at::gelu(input);
    case Activation::kGeluTanh:
      return at::gelu(input, "tanh");
    case Activation::kRelu:
      return at::relu(input);
    case Activation::kSilu:
      return at::silu(input);
    case Activation::kTanh:
      return at::tanh(input);
  }
  return input;
}

class Transformer : public TokenNetwork {
 public:
  Transformer(const TransformerConfig& config, TokenNetworkInfo info,
              const std::map<std::string, Tensor>& tensors);

  const TokenNetworkInfo& info() const override { return info_; }
  absl::StatusOr<std::vector<float>> Forward(const TokenBatch& batch) override;

 private:
  Tensor Embed(const Tensor& ids, const Tensor& type_ids) const;
  Tensor Attend(const Layer& layer, const Tensor& queries, const Tensor& hidden,
                const Tensor& mask) const;
  Tensor RunLayer(const Layer& layer, const Tensor& queries,
                  const Tensor& hidden, const Tensor& mask) const;
  Tensor Classify(const Tensor& first) const;

  const TransformerConfig config_;
  const TokenNetworkInfo info_;
  Tensor words_, positions_, types_;  // [*, embedding]
  LayerNorm embedding_norm_;
  Linear projection_;  // of ELECTRA with embedding_size != hidden_size
  std::vector<Layer> layers_;
  Linear pooler_;      // BERT's pooler, ELECTRA's classifier.dense
  Linear classifier_;  // [classes, hidden]
};

Transformer::Transformer(const TransformerConfig& config, TokenNetworkInfo info,
                         const std::map<std::string, Tensor>& tensors)
    : config_(config), info_(std::move(info)) {
  const Parts parts(tensors, config.layer_norm_eps);
  const std::string base = NameOf(config.architecture);
  words_ = parts.Get(base + ".embeddings.word_embeddings.weight");
  positions_ = parts.Get(base + ".embeddings.position_embeddings.weight");
  types_ = parts.Get(base + ".embeddings.token_type_embeddings.weight");
  embedding_norm_ = parts.GetNorm(base + ".embeddings.LayerNorm");
  if (config.has_projection()) {
    projection_ = parts.GetLinear(base + ".embeddings_project");
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(parts.GetLayer(absl::StrCat(base, ".encoder.layer.", i)));
  }
  const bool is_bert = config.architecture == Architecture::kBert;
  pooler_ = parts.GetLinear(is_bert ? "bert.pooler.dense" : "classifier.dense");
  classifier_ = parts.GetLinear(is_bert ? "classifier" : "classifier.out_proj");
}

// ids, type_ids: [rows, columns], int64. Result: [rows, columns, hidden].
Tensor Transformer::Embed(const Tensor& ids, const Tensor& type_ids) const {
  Tensor sum = at::embedding(words_, ids);
  sum.add_(at::embedding(types_, type_ids));
  sum.add_(positions_.narrow(0, 0, ids.size(1)));
  const Tensor embedded = embedding_norm_(sum);
  return config_.has_projection() ? projection_(embedded) : embedded;
}

// queries: [rows, Q, hidden]; hidden: [rows, columns, hidden]; mask: [rows, 1,
// 1, columns], added to the scores, or undefined. Result: as queries.
Tensor Transformer::Attend(const Layer& layer, const Tensor& queries,
                           const Tensor& hidden, const Tensor& mask) const {
  const int64_t rows = hidden.size(0);
  const int64_t columns = hidden.size(1);
  const int64_t heads = config_.num_heads;
  const int64_t depth = config_.hidden_size / heads;
  // query: [rows, heads, Q, depth]
  const Tensor query = layer.query(queries)
                           .mul_(1 / std::sqrt(static_cast<double>(depth)))
                           .view({rows, queries.size(1), heads, depth})
                           .transpose(1, 2);
  // both: [2, rows, heads, columns, depth]
  const Tensor both = layer.key_value(hidden)
                          .view({rows, columns, 2, heads, depth})
                          .permute({2, 0, 3, 1, 4});
  // scores: [rows, heads, Q, columns]
  Tensor scores = at::matmul(query, both[0].transpose(2, 3));
  if (mask.defined()) scores.add_(mask);
  const Tensor context = at::matmul(at::softmax(scores, -1), both[1]);
  return context.transpose(1, 2).reshape(
      {rows, queries.size(1), config_.hidden_size});
}

Tensor Transformer::RunLayer(const Layer& layer, const Tensor& queries,
                             const Tensor& hidden, const Tensor& mask) const {
  const Tensor context = Attend(layer, queries, hidden, mask);
  const Tensor attended =
      layer.attention_norm(layer.attention_output(context).add_(queries));
  const Tensor inner =
      Activate(config_.activation, layer.intermediate(attended));
  return layer.output_norm(layer.output(inner).add_(attended));
}

// first: [rows, hidden], of the first token. Result: [rows, classes].
Tensor Transformer::Classify(const Tensor& first) const {
  const Tensor pooled = pooler_(first);
  // ELECTRA's head has the exact GELU whatever hidden_act says.
  return classifier_(config_.architecture == Architecture::kBert
                         ? at::tanh(pooled)
                         : at::gelu(pooled));
}

Tensor ToTensor(const std::vector<int64_t>& values, const TokenBatch& batch,
                const std::string& device) {
  return at::from_blob(const_cast<int64_t*>(values.data()),
                       {batch.rows, batch.columns}, at::kLong)
      .to(device);
}

// [rows, 1, 1, columns]: 0 for tokens, the lowest float for padding, whose
// weight is then exactly 0. Undefined when there is no padding.
Tensor AdditiveMask(const TokenBatch& batch, const std::string& device) {
  const Tensor mask = ToTensor(batch.mask, batch, "cpu");
  if (mask.all().item<bool>()) return Tensor();
  return at::zeros({batch.rows, 1, 1, batch.columns}, at::kFloat)
      .masked_fill_((mask == 0).view({batch.rows, 1, 1, batch.columns}),
                    std::numeric_limits<float>::lowest())
      .to(device);
}

absl::StatusOr<std::vector<float>> Transformer::Forward(
    const TokenBatch& batch) {
  KODISTIL_RETURN_IF_ERROR(CheckBatch(info_, batch));
  return CatchTorch(
      info_.model_type, [&]() -> absl::StatusOr<std::vector<float>> {
        const c10::InferenceMode guard;
        const Tensor mask = AdditiveMask(batch, info_.device);
        Tensor hidden = Embed(ToTensor(batch.ids, batch, info_.device),
                              ToTensor(batch.type_ids, batch, info_.device));
        for (size_t i = 0; i < layers_.size(); ++i) {
          // Only the first token of the last layer is read.
          const bool is_last = i + 1 == layers_.size();
          hidden =
              RunLayer(layers_[i], is_last ? hidden.narrow(1, 0, 1) : hidden,
                       hidden, mask);
        }
        const Tensor logits =
            Classify(hidden.select(1, 0)).to("cpu").contiguous();
        const float* const values = logits.data_ptr<float>();
        return std::vector<float>(values, values + logits.numel());
      });
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenNetwork>> LoadTransformer(
    const std::string& model_dir, const std::string& device) {
  const std::string config_path = JoinPath(model_dir, "config.json");
  KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(config_path));
  KODISTIL_ASSIGN_OR_RETURN(const TransformerConfig config,
                            ParseTransformerConfig(json, config_path));
  KODISTIL_ASSIGN_OR_RETURN(const Weights weights, OpenWeights(model_dir));
  KODISTIL_RETURN_IF_ERROR(
      CheckTensors(config, weights.tensors(), weights.path()));
  TokenNetworkInfo info;
  info.model_type = NameOf(config.architecture);
  KODISTIL_ASSIGN_OR_RETURN(info.device, ResolveTorchDevice(device));
  info.weights_digest = weights.digest();
  info.num_classes = config.num_labels;
  info.vocab_size = config.vocab_size;
  info.type_vocab_size = config.type_vocab_size;
  info.max_positions = config.max_positions;
  using Result = absl::StatusOr<std::unique_ptr<TokenNetwork>>;
  return CatchTorch(weights.path(), [&]() -> Result {
    const c10::InferenceMode guard;
    KODISTIL_ASSIGN_OR_RETURN(const auto tensors,
                              ReadTensors(config, weights, info.device));
    for (const auto& [name, tensor] : tensors)
      info.parameters += tensor.numel();
    return std::make_unique<Transformer>(config, std::move(info), tensors);
  });
}

}  // namespace kodistil
