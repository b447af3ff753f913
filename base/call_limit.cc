#include "base/call_limit.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/grpc_bridge.h"

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
  const absl::StatusOr<Place> place = Enter(context);
  return ToGrpcStatus(place.ok() ? call() : place.status());
}

}  // namespace kodistil
