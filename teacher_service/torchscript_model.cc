#include "teacher_service/torchscript_model.h"

#include <torch/script.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"
#include "teacher_service/torch_device.h"

namespace kodistil {
namespace {

at::Tensor ToTensor(const std::vector<int64_t>& values, const TokenBatch& batch,
                    const std::string& device) {
  return at::from_blob(const_cast<int64_t*>(values.data()),
                       {batch.rows, batch.columns}, at::kLong)
      .to(device);
}

class TorchScriptNetwork : public TokenNetwork {
 public:
  TorchScriptNetwork(torch::jit::Module module, TokenNetworkInfo info)
      : module_(std::move(module)), info_(std::move(info)) {}

  const TokenNetworkInfo& info() const override { return info_; }

  absl::StatusOr<std::vector<float>> Forward(const TokenBatch& batch) override {
    KODISTIL_RETURN_IF_ERROR(CheckBatch(info_, batch));
    return CatchTorch("torchscript", [&] { return Run(batch); });
  }

  // Learns the number of classes from a row of two tokens.
  absl::Status Probe();

 private:
  absl::StatusOr<std::vector<float>> Run(const TokenBatch& batch);

  torch::jit::Module module_;
  TokenNetworkInfo info_;
};

absl::StatusOr<std::vector<float>> TorchScriptNetwork::Run(
    const TokenBatch& batch) {
  const c10::InferenceMode guard;
  c10::IValue result =
      module_.forward({ToTensor(batch.ids, batch, info_.device),
                       ToTensor(batch.mask, batch, info_.device),
                       ToTensor(batch.type_ids, batch, info_.device)});
  if (result.isTuple() && !result.toTupleRef().elements().empty()) {
    const c10::IValue first = result.toTupleRef().elements()[0];
    result = first;
  }
  if (!result.isTensor()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "forward returned ", result.tagKind(), ", expected a tensor"));
  }
  const at::Tensor logits =
      result.toTensor().to(at::kCPU, at::kFloat).contiguous();
  const bool fits =
      logits.dim() == 2 && logits.size(0) == batch.rows &&
      logits.size(1) >= 2 &&
      (info_.num_classes == 0 || logits.size(1) == info_.num_classes);
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat("forward returned a tensor of shape [",
                     absl::StrJoin(logits.sizes(), ", "), "], expected [",
                     batch.rows, ", classes]"));
  }
  const float* const values = logits.data_ptr<float>();
  return std::vector<float>(values, values + logits.numel());
}

absl::Status TorchScriptNetwork::Probe() {
  TokenBatch batch;
  batch.rows = 1;
  batch.columns = 2;
  batch.ids = {0, 0};
  batch.mask = {1, 1};
  batch.type_ids = {0, 0};
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> logits, Forward(batch));
  info_.num_classes = logits.size();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenNetwork>> LoadTorchScript(
    const std::string& path, const std::string& device) {
  TokenNetworkInfo info;
  info.model_type = "torchscript";
  KODISTIL_ASSIGN_OR_RETURN(info.device, ResolveTorchDevice(device));
  KODISTIL_ASSIGN_OR_RETURN(info.weights_digest, Sha256HexOfFile(path));
  absl::StatusOr<torch::jit::Module> module =
      CatchTorch(path, [&]() -> absl::StatusOr<torch::jit::Module> {
        torch::jit::Module loaded =
            torch::jit::load(path, c10::Device(info.device));
        loaded.eval();
        for (const at::Tensor& parameter : loaded.parameters()) {
          info.parameters += parameter.numel();
        }
        return loaded;
      });
  if (!module.ok()) {
    return absl::DataLossError(absl::StrCat(module.status().message(),
                                            "; expected a TorchScript file"));
  }
  auto network =
      std::make_unique<TorchScriptNetwork>(*std::move(module), std::move(info));
  KODISTIL_RETURN_IF_ERROR(Annotate(network->Probe(), path));
  return network;
}

}  // namespace kodistil
