#include "base/grpc_bridge.h"

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/retry.h"

namespace kodistil {
namespace {

constexpr char kPushbackKey[] = "grpc-retry-pushback-ms";

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

absl::Status FromGrpcCall(const grpc::Status& status,
                          const grpc::ClientContext& context) {
  if (status.error_code() == grpc::StatusCode::CANCELLED) {
    return absl::UnavailableError(absl::StrCat(
        "the server ended the call", status.error_message().empty() ? "" : ": ",
        status.error_message()));
  }
  absl::Status result = FromGrpcStatus(status);
  if (!absl::IsUnavailable(result)) return result;
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto pushback = trailers.find(kPushbackKey);
  if (pushback == trailers.end()) return result;
  int32_t milliseconds = -1;  // also of what is no number: A6
  if (!absl::SimpleAtoi(
          absl::string_view(pushback->second.data(), pushback->second.size()),
          &milliseconds)) {
    milliseconds = -1;
  }
  SetPushback(absl::Milliseconds(milliseconds), &result);
  return result;
}

void AddPushback(absl::Duration pushback, grpc::ServerContextBase* context) {
  context->AddTrailingMetadata(
      kPushbackKey, absl::StrCat(absl::ToInt64Milliseconds(pushback)));
}

}  // namespace kodistil
