// coordinator --status.

#ifndef KODISTIL_COORDINATOR_STATUS_COMMAND_H_
#define KODISTIL_COORDINATOR_STATUS_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/access.h"
#include "kodistil/v1/status.pb.h"

namespace kodistil {

// Asks the coordinator at `address` (host:port), or with an empty one that of
// `work_dir` on this machine. NOT_FOUND when none works there, UNAVAILABLE when
// it cannot be reached. `access` is for that connection.
absl::StatusOr<v1::GetStatusResponse> AskStatus(
    const std::string& address, const std::string& work_dir,
    const AccessOptions& access = {});

// Prints the answer; returns the exit code.
int RunStatusCommand(const std::string& address, const std::string& work_dir,
                     const AccessOptions& access = {});

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_STATUS_COMMAND_H_
