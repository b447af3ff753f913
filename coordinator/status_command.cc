#include "coordinator/status_command.h"

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/sweep_status.h"
#include "kodistil/v1/status.grpc.pb.h"

namespace kodistil {
namespace {

// The lock tells whether a coordinator works there; the port file may be an
// earlier one's.
absl::StatusOr<std::string> AddressIn(const std::string& work_dir) {
  const std::string port_file = JoinPath(work_dir, "run/coordinator.port");
  const absl::Status nobody = absl::NotFoundError(absl::StrCat(
      "no coordinator works in ", work_dir,
      "; --work_dir names the folder of a running sweep, --coordinator its "
      "host:port"));
  if (!FileExists(port_file)) return nobody;
  const auto lock =
      FileLock::TryAcquire(JoinPath(work_dir, "coordinator.lock"));
  if (lock.ok()) return nobody;
  if (!absl::IsUnavailable(lock.status())) return lock.status();
  KODISTIL_ASSIGN_OR_RETURN(const std::string port, ReadFile(port_file));
  return absl::StrCat("127.0.0.1:", absl::StripAsciiWhitespace(port));
}

}  // namespace

absl::StatusOr<v1::GetStatusResponse> AskStatus(const std::string& address,
                                                const std::string& work_dir,
                                                const AccessOptions& access) {
  KODISTIL_RETURN_IF_ERROR(CheckClientAccess(access));
  std::string target = address;
  if (target.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(target, AddressIn(work_dir));
  }
  const auto stub = v1::StatusService::NewStub(NewChannel(target, access));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
  v1::GetStatusResponse response;
  const absl::Status status =
      FromGrpcCall(stub->GetStatus(&context, {}, &response), context);
  if (!status.ok())
    return Annotate(status, absl::StrCat("coordinator ", target));
  return response;
}

int RunStatusCommand(const std::string& address, const std::string& work_dir,
                     const AccessOptions& access) {
  const auto status = AskStatus(address, work_dir, access);
  if (!status.ok()) return ExitCodeOf(status.status());
  for (const std::string& line : StatusLines(*status)) {
    std::printf("%s\n", line.c_str());
  }
  return kExitOk;
}

}  // namespace kodistil
