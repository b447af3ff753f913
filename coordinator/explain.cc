#include "coordinator/explain.h"

#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/explain_trial.h"
#include "coordinator/ledger.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

namespace kodistil {
namespace {

absl::StatusOr<std::vector<std::string>> AskCoordinator(
    const std::string& work_dir, const std::string& trial_id,
    const AccessOptions& access) {
  KODISTIL_RETURN_IF_ERROR(CheckClientAccess(access));
  KODISTIL_ASSIGN_OR_RETURN(
      const std::string port,
      ReadFile(JoinPath(work_dir, "run/coordinator.port")));
  const auto stub = v1::CoordinatorService::NewStub(NewChannel(
      absl::StrCat("127.0.0.1:", absl::StripAsciiWhitespace(port)), access));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
  v1::ExplainRequest request;
  request.set_trial_id(trial_id);
  v1::ExplainResponse response;
  KODISTIL_RETURN_IF_ERROR(
      FromGrpcCall(stub->Explain(&context, request, &response), context));
  return std::vector<std::string>(response.lines().begin(),
                                  response.lines().end());
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Explain(const std::string& work_dir,
                                                 const std::string& trial_id,
                                                 const AccessOptions& access) {
  // The lock tells whether a coordinator works there; the port file may be an
  // earlier one's.
  if (!IsDirectory(JoinPath(work_dir, "ledger"))) {
    return absl::NotFoundError(
        absl::StrCat("found no ledger in ", work_dir,
                     "; --work_dir names the folder of the sweep"));
  }
  const auto lock =
      FileLock::TryAcquire(JoinPath(work_dir, "coordinator.lock"));
  if (absl::IsUnavailable(lock.status())) {
    return AskCoordinator(work_dir, trial_id, access);
  }
  KODISTIL_RETURN_IF_ERROR(lock.status());
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<Ledger> ledger,
      Ledger::Open(JoinPath(work_dir, "ledger"), {}, absl::Now()));
  KODISTIL_ASSIGN_OR_RETURN(const v1::Trial trial, ledger->Find(trial_id));
  std::vector<std::string> lines = ExplainTrial(trial, nullptr);
  lines.push_back("No coordinator works in this folder now.");
  return lines;
}

int RunExplainCommand(const std::string& work_dir, const std::string& trial_id,
                      const AccessOptions& access) {
  const auto lines = Explain(work_dir, trial_id, access);
  if (!lines.ok()) return ExitCodeOf(lines.status());
  for (const std::string& line : *lines) std::printf("%s\n", line.c_str());
  return kExitOk;
}

}  // namespace kodistil
