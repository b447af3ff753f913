// gRPC's credentials for AccessOptions.

#ifndef KODISTIL_BASE_ACCESS_CREDENTIALS_H_
#define KODISTIL_BASE_ACCESS_CREDENTIALS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/access.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace kodistil {

// Credentials of a server that listens on `host`. With TLS or a token they
// look at every call before any service does, whichever API serves it: a call
// without a known token ends as UNAUTHENTICATED, one that the peer's roles do
// not allow (base/access_rules.h) as PERMISSION_DENIED. Health checks need
// neither. Errors as CheckListen and CheckFiles.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> NewServerCredentials(
    const AccessOptions& access, const std::string& host);

// A channel to [NAME@]host:port; see NewChannel. A token is sent over TLS or to
// a loopback address, never elsewhere. Cannot fail: files that are not what
// CheckFiles wants make its calls UNAVAILABLE.
std::shared_ptr<grpc::Channel> NewChannelWithAccess(
    const std::string& address, const AccessOptions& access,
    grpc::ChannelArguments arguments);

}  // namespace kodistil

#endif  // KODISTIL_BASE_ACCESS_CREDENTIALS_H_
