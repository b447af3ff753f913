#include "coordinator/part_args.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"

namespace kodistil {

std::vector<std::string> AccessArgs(const AccessOptions& access, bool server) {
  std::vector<std::string> args;
  const auto add = [&args](absl::string_view flag, const std::string& value) {
    if (!value.empty()) {
      args.push_back(absl::StrCat("--", flag, "=", value));
    }
  };
  add("tls_cert", access.tls_cert);
  add("tls_key", access.tls_key);
  add("tls_ca", access.tls_ca);
  if (access.tls()) add("tls_local_name", access.local_name);
  add("token_file", access.token_file);
  if (server && access.insecure) args.push_back("--insecure");
  return args;
}

std::vector<std::string> TeacherArgs(const TeacherSource& teacher,
                                     const std::string& store_address,
                                     const std::string& device) {
  return {absl::StrCat("--model=", teacher.model),
          absl::StrCat("--allow_torchscript=",
                       teacher.allow_torchscript ? "true" : "false"),
          absl::StrCat("--mecab_dicdir=", teacher.mecab_dicdir),
          absl::StrCat("--logit_store=", store_address),
          absl::StrCat("--device=", device)};
}

std::vector<std::string> WorkerArgs(const WorkerSettings& settings,
                                    const std::string& coordinator) {
  return {absl::StrCat("--coordinator=", coordinator),
          absl::StrCat("--threads=", settings.threads),
          absl::StrCat("--pack=", settings.pack),
          absl::StrCat("--device=", settings.device),
          absl::StrCat("--hang_timeout=",
                       absl::FormatDuration(settings.hang_timeout))};
}

std::vector<std::string> ThreadVariables() {
  return {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"};
}

absl::StatusOr<std::string> FindPart(const std::string& binary) {
  const std::string path = FindSiblingBinary(binary);
  if (path.empty()) {
    return absl::NotFoundError(
        absl::StrCat("the program ", binary,
                     " is not beside this one; build it with "
                     "`bazel build //...`"));
  }
  return std::filesystem::absolute(path).string();
}

}  // namespace kodistil
