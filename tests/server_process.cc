#include "tests/server_process.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr int kLogLines = 20;

ProcessOptions Options(const std::string& folder, const std::string& name,
                       const std::string& binary,
                       std::vector<std::string> args) {
  ProcessOptions options;
  options.name = name;
  options.binary = TestBinary(binary);
  options.args = std::move(args);
  options.log_path = JoinPath(folder, absl::StrCat(name, ".log"));
  return options;
}

}  // namespace

absl::StatusOr<ServerProcess> StartServer(const std::string& folder,
                                          const std::string& name,
                                          const std::string& binary,
                                          std::vector<std::string> args) {
  const std::string port_file = JoinPath(folder, absl::StrCat(name, ".port"));
  KODISTIL_RETURN_IF_ERROR(RemoveAll(port_file));
  args.push_back("--port=0");
  args.push_back(absl::StrCat("--port_file=", port_file));
  const ProcessOptions options = Options(folder, name, binary, std::move(args));
  ServerProcess server;
  KODISTIL_ASSIGN_OR_RETURN(server.process, Process::Start(options));
  int port = 0;
  PollUntil(absl::Minutes(1), [&] {
    const auto text = ReadFile(port_file);
    return (text.ok() && absl::SimpleAtoi(*text, &port)) ||
           !server.process->Running();
  });
  if (port == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat(name, " ", server.process->ExitText(), ":\n",
                     LogTail(options.log_path, kLogLines)));
  }
  server.address = absl::StrCat("127.0.0.1:", port);
  return server;
}

absl::Status RunProgram(const std::string& folder, const std::string& name,
                        const std::string& binary,
                        std::vector<std::string> args) {
  const ProcessOptions options = Options(folder, name, binary, std::move(args));
  KODISTIL_ASSIGN_OR_RETURN(const auto process, Process::Start(options));
  process->Wait();
  if (process->exit_code() == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(name, " ", process->ExitText(), ":\n",
                   LogTail(options.log_path, kLogLines)));
}

absl::StatusOr<std::string> TrainNgramTeacher(const std::string& folder,
                                              const std::string& dataset_file) {
  const std::string model = JoinPath(folder, "ngram");
  KODISTIL_RETURN_IF_ERROR(
      RunProgram(folder, "train_ngram", "teacher_service/train_ngram",
                 {absl::StrCat("--dataset_file=", dataset_file),
                  absl::StrCat("--output=", model)}));
  return model;
}

}  // namespace kodistil
