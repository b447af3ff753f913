#include <memory>
#include <string>

#include "base/files.h"
#include "base/status_macros.h"
#include "teacher_service/network_loader.h"
#include "teacher_service/ngram_model.h"
#include "teacher_service/teacher_model.h"
#include "teacher_service/token_teacher.h"
#include "teacher_service/transformer_config.h"

namespace kodistil {
namespace {

// The folder of a file: "a/b.pt" is in "a", "b.pt" in ".".
std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TeacherModel>> LoadTeacherModel(
    const TeacherModelOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  const std::string script = TorchScriptPath(options.model_dir);
  if (script.empty()) {
    const std::string path = JoinPath(options.model_dir, "config.json");
    KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
    KODISTIL_ASSIGN_OR_RETURN(const std::string model_type,
                              ReadModelType(json, path));
    if (model_type == kNgramModelType) return LoadNgramModel(options);
  }
  KODISTIL_ASSIGN_OR_RETURN(std::unique_ptr<TokenNetwork> network,
                            LoadTokenNetwork(options));
  const std::string folder =
      script.empty() ? options.model_dir : FolderOf(script);
  return NewTokenTeacher(std::move(network), folder, options);
}

}  // namespace kodistil
