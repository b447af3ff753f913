#include "base/raw_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <vector>

#include "absl/synchronization/notification.h"
#include "base/grpc_bridge.h"

namespace kodistil {

absl::StatusOr<std::string> CallRaw(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
    const std::string& request) {
  grpc::GenericStub stub(channel);
  const grpc::Slice slice(request);
  const grpc::ByteBuffer input(&slice, 1);
  grpc::ByteBuffer output;
  grpc::ClientContext context;
  absl::Notification done;
  absl::Status result;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &input, &output,
                 [&](grpc::Status status) {
                   result = FromGrpcStatus(status);
                   done.Notify();
                 });
  done.WaitForNotification();
  if (!result.ok()) return result;
  std::vector<grpc::Slice> slices;
  if (!output.Dump(&slices).ok()) return absl::InternalError("no answer");
  std::string bytes;
  for (const grpc::Slice& part : slices) {
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return bytes;
}

}  // namespace kodistil
