// Calls of services that have no stub here, for tests: health, reflection,
// methods that do not exist.

#ifndef KODISTIL_BASE_RAW_CALL_H_
#define KODISTIL_BASE_RAW_CALL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"

namespace kodistil {

// Sends the bytes of `request` to "/package.Service/Method" and returns those
// of the first answer, or the call's status.
absl::StatusOr<std::string> CallRaw(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
    const std::string& request);

}  // namespace kodistil

#endif  // KODISTIL_BASE_RAW_CALL_H_
