// The one place where gRPC's status and absl's meet.

#ifndef KODISTIL_BASE_GRPC_BRIDGE_H_
#define KODISTIL_BASE_GRPC_BRIDGE_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace kodistil {

// Codes map one to one; the message is kept.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace kodistil

#endif  // KODISTIL_BASE_GRPC_BRIDGE_H_
