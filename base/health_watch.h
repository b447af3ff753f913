// Watches a server's health, for tests.

#ifndef KODISTIL_BASE_HEALTH_WATCH_H_
#define KODISTIL_BASE_HEALTH_WATCH_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace kodistil {

// An open call of grpc.health.v1.Health/Watch for the whole server. Not
// thread-safe.
class HealthWatch {
 public:
  explicit HealthWatch(std::shared_ptr<grpc::Channel> channel,
                       absl::Duration limit = absl::Minutes(1));
  ~HealthWatch();

  // Waits for the next change: "SERVING", "NOT_SERVING", or "ended" once the
  // stream is over or `limit` has passed since the beginning.
  std::string Next();

 private:
  // Whether the operation just begun has succeeded.
  bool Done();

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_HEALTH_WATCH_H_
