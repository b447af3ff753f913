// A worker's conversation with the coordinator: outlives the coordinator's
// restarts.

#ifndef KODISTIL_STUDENT_TRAINER_COORDINATOR_SESSION_H_
#define KODISTIL_STUDENT_TRAINER_COORDINATOR_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

namespace kodistil {

struct SessionOptions {
  // What Register tells: who calls, and the version of its program.
  std::string worker;
  std::string build;
  // How long a coordinator that cannot be reached is asked again.
  absl::Duration unreachable_limit = absl::Minutes(5);
  // Deadline of one try.
  absl::Duration call_timeout = absl::Seconds(10);
};

// Every call registers first when that is needed: at the beginning, after the
// coordinator could not be reached, and when it does not know the worker. A
// call that finds nobody is repeated with backoff. Besides the coordinator's
// own errors, calls return UNAVAILABLE once unreachable_limit has passed, and
// CANCELLED when `stop` is notified while one waits to try again. The requests'
// worker_id is filled in. Thread-safe. Borrows `stop`.
class CoordinatorSession {
 public:
  CoordinatorSession(std::shared_ptr<grpc::Channel> channel,
                     const SessionOptions& options,
                     const absl::Notification* stop);

  // At most `most` trials, which share their batches.
  absl::StatusOr<v1::LeaseTrialResponse> LeaseTrial(int most = 1);
  // Whether to go on.
  absl::StatusOr<bool> Heartbeat(v1::HeartbeatRequest request);
  absl::Status Complete(v1::CompleteRequest request);
  absl::Status Fail(v1::FailRequest request);

  // What the coordinator asked for when it registered the worker.
  absl::Duration heartbeat_interval() const;
  // The largest checkpoint that the coordinator keeps; 0 when it keeps none.
  uint64_t max_checkpoint_bytes() const;

 private:
  using Method = std::function<grpc::Status(grpc::ClientContext*,
                                            const std::string& worker_id)>;

  absl::Status Call(const Method& method);
  absl::Status TryRegister();
  absl::Status Try(const Method& method);

  const std::unique_ptr<v1::CoordinatorService::Stub> stub_;
  const SessionOptions options_;
  const absl::Notification& stop_;

  mutable absl::Mutex mutex_;
  std::string worker_id_ ABSL_GUARDED_BY(mutex_);  // empty before Register
  absl::Duration heartbeat_interval_ ABSL_GUARDED_BY(mutex_) =
      absl::Seconds(10);
  uint64_t max_checkpoint_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_COORDINATOR_SESSION_H_
