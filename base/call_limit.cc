#include "base/call_limit.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/grpc_bridge.h"
#include "base/request_id.h"

namespace kodistil {
namespace {

// What a full service asks its clients to wait.
constexpr absl::Duration kPushback = absl::Milliseconds(200);

absl::Status WhyDead(const grpc::ServerContextBase& context) {
  if (absl::FromChrono(context.deadline()) < absl::Now()) {
    return absl::DeadlineExceededError(
        "the deadline passed before the call was begun");
  }
  if (context.IsCancelled()) {
    return absl::CancelledError("cancelled before the call was begun");
  }
  return absl::OkStatus();
}

// What whoever runs the server should know of.
bool IsServersFault(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsDataLoss(status) ||
         absl::IsUnknown(status);
}

}  // namespace

absl::StatusOr<CallLimit::Place> CallLimit::Enter(
    grpc::ServerContextBase* context) {
  Place place(this);
  if (++calls_ > limit_) {
    AddPushback(kPushback, context);
    return absl::UnavailableError(
        absl::StrCat(service_, " has ", limit_, " calls under way"));
  }
  const absl::Status dead = WhyDead(*context);
  if (!dead.ok()) return dead;
  return place;
}

grpc::Status CallLimit::Run(grpc::ServerContext* context,
                            absl::FunctionRef<absl::Status()> call) {
  const ScopedLogContext log(CallContext(*context));
  const absl::StatusOr<Place> place = Enter(context);
  const absl::Status status = place.ok() ? call() : place.status();
  LOG_IF(ERROR, IsServersFault(status)) << service_ << ": " << status;
  return ToGrpcStatus(status);
}

}  // namespace kodistil
