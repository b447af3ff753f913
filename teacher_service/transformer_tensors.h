// How a TransformerNetwork gets its tensors. Names LibTorch's tensor without
// including LibTorch; everything but what returns a status throws as LibTorch
// does.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_TENSORS_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_TENSORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/safetensors.h"
#include "teacher_service/token_network.h"
#include "teacher_service/transformer_config.h"
#include "teacher_service/transformer_network.h"

namespace kodistil {

// A network over tensors that were checked against TensorSpecs(config), all on
// info.device. Of `info`, the device and the digest count.
std::unique_ptr<TransformerNetwork> MakeTransformer(
    const TransformerConfig& config, TokenNetworkInfo info,
    const std::map<std::string, at::Tensor>& tensors, bool for_inference);

// The views as float32 on `device`. DATA_LOSS naming `path` and the tensor that
// holds infinities or NaN, INVALID_ARGUMENT for one that holds no floating
// numbers.
absl::StatusOr<std::map<std::string, at::Tensor>> ReadTensors(
    const std::map<std::string, TensorView>& views, const std::string& path,
    const std::string& device);

// New values for the tensors of TensorSpecs(config) that `tensors` does not
// hold. The same seed gives the same values, tensor by tensor.
void AddInitialTensors(const TransformerConfig& config, uint64_t seed,
                       const std::string& device,
                       std::map<std::string, at::Tensor>* tensors);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_TENSORS_H_
