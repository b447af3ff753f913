// The one place where gRPC's status and absl's meet.

#ifndef KODISTIL_BASE_GRPC_BRIDGE_H_
#define KODISTIL_BASE_GRPC_BRIDGE_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace kodistil {

// Codes map one to one; the message is kept.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// How a call ended that this side made and did not cancel: with the server's
// push-back, which RetryUnavailable heeds. A call that reaches a server as it
// begins to shut down ends as CANCELLED in gRPC 1.51; nobody has seen it, so it
// is UNAVAILABLE here.
absl::Status FromGrpcCall(const grpc::Status& status,
                          const grpc::ClientContext& context);

// Tells the client of a call that ends as UNAVAILABLE when to come back (gRPC
// proposal A6).
void AddPushback(absl::Duration pushback, grpc::ServerContextBase* context);

}  // namespace kodistil

#endif  // KODISTIL_BASE_GRPC_BRIDGE_H_
