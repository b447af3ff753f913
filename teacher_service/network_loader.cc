#include "teacher_service/network_loader.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "teacher_service/torch_device.h"
#include "teacher_service/torchscript_model.h"
#include "teacher_service/transformer_network.h"
#include "teacher_service/weights.h"

namespace kodistil {

std::string TorchScriptPath(const std::string& model_dir) {
  if (absl::EndsWith(model_dir, ".pt") && !IsDirectory(model_dir)) {
    return model_dir;
  }
  const std::string path = JoinPath(model_dir, "model.pt");
  return FileExists(path) && !HasWeights(model_dir) ? path : "";
}

absl::StatusOr<std::unique_ptr<TokenNetwork>> LoadTokenNetwork(
    const TeacherModelOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  SetTorchThreads(options.threads);
  const std::string script = TorchScriptPath(options.model_dir);
  if (script.empty()) return LoadTransformer(options.model_dir, options.device);
  if (options.allow_torchscript) return LoadTorchScript(script, options.device);
  return absl::FailedPreconditionError(
      absl::StrCat(script,
                   " is TorchScript, which is code that runs here; if "
                   "you trust it, say --allow_torchscript"));
}

}  // namespace kodistil
