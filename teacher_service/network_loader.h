// Which TokenNetwork a model path names.

#ifndef KODISTIL_TEACHER_SERVICE_NETWORK_LOADER_H_
#define KODISTIL_TEACHER_SERVICE_NETWORK_LOADER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "teacher_service/teacher_model.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// The TorchScript file that `model_dir` is or holds (model.pt beside no weights
// that OpenWeights would read); empty when there is none.
std::string TorchScriptPath(const std::string& model_dir);

// A network that reads token ids: TorchScript, or the folder of a Transformer.
// FAILED_PRECONDITION for TorchScript without options.allow_torchscript.
absl::StatusOr<std::unique_ptr<TokenNetwork>> LoadTokenNetwork(
    const TeacherModelOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_NETWORK_LOADER_H_
