// What a call is named in log lines of all servers that it passes.

#ifndef KODISTIL_BASE_REQUEST_ID_H_
#define KODISTIL_BASE_REQUEST_ID_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/log.h"
#include "grpcpp/server_context.h"

namespace kodistil {

// The caller's `x-request-id` where it is 1 to 128 printable ASCII characters
// without spaces, else a new one of 16 hexadecimal digits.
std::string RequestIdOf(const grpc::ServerContextBase& context);
// The same for a header's value of another protocol.
std::string RequestIdOf(absl::string_view header);

// The log context of a call.
LogContext CallContext(const grpc::ServerContextBase& context);

}  // namespace kodistil

#endif  // KODISTIL_BASE_REQUEST_ID_H_
