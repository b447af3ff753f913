// A TorchScript file as a teacher's network. TorchScript is code: load only
// files that you trust.

#ifndef KODISTIL_TEACHER_SERVICE_TORCHSCRIPT_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_TORCHSCRIPT_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// The module's forward(input_ids, attention_mask, token_type_ids), int64 [rows,
// columns] each, returns logits [rows, classes] or a tuple that begins with
// them. NOT_FOUND, DATA_LOSS when it is not TorchScript, INVALID_ARGUMENT when
// forward does not return logits.
absl::StatusOr<std::unique_ptr<TokenNetwork>> LoadTorchScript(
    const std::string& path, const std::string& device);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TORCHSCRIPT_MODEL_H_
