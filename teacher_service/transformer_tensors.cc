#include "teacher_service/transformer_tensors.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"
#include "glog/logging.h"
#include "teacher_service/torch_device.h"
#include "teacher_service/weights.h"
#include "teacher_service/weights_fit.h"

namespace kodistil {
namespace {

using at::Tensor;
using Tensors = std::map<std::string, Tensor>;
using Result = absl::StatusOr<std::unique_ptr<TransformerNetwork>>;

absl::StatusOr<TransformerConfig> ReadConfig(const std::string& model_dir) {
  const std::string path = JoinPath(model_dir, "config.json");
  KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  return ParseTransformerConfig(json, path);
}

absl::StatusOr<at::ScalarType> TypeOf(Precision precision,
                                      const std::string& device,
                                      Architecture architecture) {
  const bool on_cpu = device == "cpu";
  switch (precision) {
    case Precision::kFloat32:
      return at::kFloat;
    case Precision::kBfloat16:
    case Precision::kFloat16:
      if (on_cpu) {
        return absl::InvalidArgumentError(
            "16-bit precision on the CPU, expected a GPU or float32");
      }
      return precision == Precision::kBfloat16 ? at::kBFloat16 : at::kHalf;
    case Precision::kAuto:
      if (on_cpu) return at::kFloat;
      return architecture == Architecture::kT5 ? at::kBFloat16 : at::kHalf;
  }
  return at::kFloat;
}

Tensor InitialTensor(const std::string& name, const TensorSpec& spec,
                     uint64_t seed) {
  switch (spec.fill) {
    case TensorSpec::Fill::kOnes:
      return at::ones(spec.shape, at::kFloat);
    case TensorSpec::Fill::kZeros:
      return at::zeros(spec.shape, at::kFloat);
    case TensorSpec::Fill::kNormal:
      break;
  }
  at::Generator generator =
      at::detail::createCPUGenerator(MixSeed(seed, Fingerprint64(name)));
  Tensor values =
      at::empty(spec.shape, at::kFloat).normal_(0, spec.stddev, generator);
  if (spec.zero_row >= 0) values[spec.zero_row].zero_();
  return values;
}

void LogNewTensors(const TransformerConfig& config, const Tensors& found,
                   const std::string& path) {
  std::string names;
  for (const auto& [name, spec] : TensorSpecs(config)) {
    if (found.count(name) == 0) absl::StrAppend(&names, " ", name);
  }
  if (!names.empty()) LOG(INFO) << path << ": new at random:" << names;
}

absl::Status SetClasses(const TrainingOptions& options, const std::string& path,
                        TransformerConfig* config) {
  if (options.num_classes == 0 || options.num_classes == config->num_labels) {
    return absl::OkStatus();
  }
  if (!options.new_head) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", config->num_labels, " classes, expected ",
                     options.num_classes));
  }
  config->num_labels = options.num_classes;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tensors> ReadTensors(
    const std::map<std::string, TensorView>& views, const std::string& path,
    const std::string& device) {
  Tensors result;
  for (const auto& [name, view] : views) {
    absl::StatusOr<std::vector<float>> values = ToFloats(view);
    if (!values.ok()) {
      return Annotate(values.status(), absl::StrCat(path, ": ", name));
    }
    for (const float value : *values) {
      if (std::isfinite(value)) continue;
      return absl::DataLossError(absl::StrCat(
          path, ": ", name, " holds ", value, ", expected finite numbers"));
    }
    // to() may return its argument, which does not own the values: clone first.
    result[name] = at::from_blob(values->data(), view.shape, at::kFloat)
                       .clone()
                       .to(device);
  }
  return result;
}

void AddInitialTensors(const TransformerConfig& config, uint64_t seed,
                       const std::string& device, Tensors* tensors) {
  for (const auto& [name, spec] : TensorSpecs(config)) {
    if (tensors->count(name) > 0) continue;
    tensors->emplace(name, InitialTensor(name, spec, seed).to(device));
  }
}

absl::Status TrainingOptions::Validate() const {
  if (num_classes != 0 && (num_classes < 2 || num_classes > 1000000)) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_classes is ", num_classes,
                     ", expected 2 to 1000000, or 0 for the model's"));
  }
  return absl::OkStatus();
}

Result LoadTransformer(const std::string& model_dir, const std::string& device,
                       Precision precision) {
  KODISTIL_ASSIGN_OR_RETURN(const TransformerConfig config,
                            ReadConfig(model_dir));
  KODISTIL_ASSIGN_OR_RETURN(const Weights weights, OpenWeights(model_dir));
  KODISTIL_ASSIGN_OR_RETURN(const auto views,
                            FitWeights(config, weights, /*new_head=*/false));
  TokenNetworkInfo info;
  KODISTIL_ASSIGN_OR_RETURN(info.device, ResolveTorchDevice(device));
  info.weights_digest = weights.digest();
  return CatchTorch(weights.path(), [&]() -> Result {
    const c10::InferenceMode guard;
    KODISTIL_ASSIGN_OR_RETURN(
        const at::ScalarType type,
        TypeOf(precision, info.device, config.architecture));
    KODISTIL_ASSIGN_OR_RETURN(Tensors tensors,
                              ReadTensors(views, weights.path(), info.device));
    for (auto& [name, tensor] : tensors) tensor = tensor.to(type);
    return MakeTransformer(config, info, tensors, /*for_inference=*/true);
  });
}

Result LoadTransformerForTraining(const std::string& model_dir,
                                  const TrainingOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(TransformerConfig config, ReadConfig(model_dir));
  KODISTIL_RETURN_IF_ERROR(SetClasses(options, model_dir, &config));
  KODISTIL_ASSIGN_OR_RETURN(const Weights weights, OpenWeights(model_dir));
  KODISTIL_ASSIGN_OR_RETURN(const auto views,
                            FitWeights(config, weights, options.new_head));
  TokenNetworkInfo info;
  KODISTIL_ASSIGN_OR_RETURN(info.device, ResolveTorchDevice(options.device));
  info.weights_digest = weights.digest();
  return CatchTorch(weights.path(), [&]() -> Result {
    KODISTIL_ASSIGN_OR_RETURN(Tensors tensors,
                              ReadTensors(views, weights.path(), info.device));
    LogNewTensors(config, tensors, weights.path());
    AddInitialTensors(config, options.seed, info.device, &tensors);
    return MakeTransformer(config, info, tensors, /*for_inference=*/false);
  });
}

Result NewTransformer(absl::string_view config_json, const std::string& source,
                      const TrainingOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(TransformerConfig config,
                            ParseTransformerConfig(config_json, source));
  if (options.num_classes > 0) config.num_labels = options.num_classes;
  TokenNetworkInfo info;
  KODISTIL_ASSIGN_OR_RETURN(info.device, ResolveTorchDevice(options.device));
  return CatchTorch(source, [&]() -> Result {
    Tensors tensors;
    AddInitialTensors(config, options.seed, info.device, &tensors);
    return MakeTransformer(config, info, tensors, /*for_inference=*/false);
  });
}

Result ForInference(const TransformerNetwork& network, Precision precision) {
  if (network.parameters().empty()) {
    return absl::FailedPreconditionError(
        "a network for inference, expected one for training");
  }
  TokenNetworkInfo info = network.info();
  info.weights_digest.clear();
  return CatchTorch(info.model_type, [&]() -> Result {
    const c10::InferenceMode guard;
    KODISTIL_ASSIGN_OR_RETURN(
        const at::ScalarType type,
        TypeOf(precision, info.device, network.config().architecture));
    Tensors tensors;
    for (const auto& [name, tensor] : network.parameters()) {
      tensors.emplace(name, tensor.detach().clone().to(type));
    }
    return MakeTransformer(network.config(), info, tensors,
                           /*for_inference=*/true);
  });
}

}  // namespace kodistil
