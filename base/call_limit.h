// A bound on the calls that a service works on at once.

#ifndef KODISTIL_BASE_CALL_LIMIT_H_
#define KODISTIL_BASE_CALL_LIMIT_H_

#include <atomic>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace kodistil {

// Thread-safe.
class CallLimit {
 public:
  // Held while a call is worked on. The limit must outlive it.
  class Place {
   public:
    explicit Place(CallLimit* limit) : limit_(limit) {}
    Place(Place&& other) noexcept
        : limit_(std::exchange(other.limit_, nullptr)) {}
    ~Place() {
      if (limit_ != nullptr) --limit_->calls_;
    }

   private:
    CallLimit* limit_;
  };

  // `limit`: 1 or more. `service` is for messages: "the logit store".
  CallLimit(int limit, std::string service)
      : limit_(limit), service_(std::move(service)) {}

  // A place for the call, or why it is not to be begun: UNAVAILABLE (with
  // push-back) when the limit is reached, DEADLINE_EXCEEDED or CANCELLED when
  // nobody waits for the answer any more.
  absl::StatusOr<Place> Enter(grpc::ServerContextBase* context);

  // The status of `call`, or of Enter. Log lines meanwhile carry the request's
  // id; errors that are the server's own are logged.
  grpc::Status Run(grpc::ServerContext* context,
                   absl::FunctionRef<absl::Status()> call);

 private:
  const int limit_;
  const std::string service_;
  std::atomic<int> calls_{0};
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_CALL_LIMIT_H_
