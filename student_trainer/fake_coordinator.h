// A coordinator for tests: hands out a list of trials and records what workers
// say.

#ifndef KODISTIL_STUDENT_TRAINER_FAKE_COORDINATOR_H_
#define KODISTIL_STUDENT_TRAINER_FAKE_COORDINATOR_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

namespace kodistil {

// Thread-safe. The hooks are called with each request before it is answered,
// and an error that one returns is the answer; set them before the server
// starts.
class FakeCoordinator final : public v1::CoordinatorService::Service {
 public:
  // Trials to hand out, in order; when there are none, KIND_FINISHED, or
  // KIND_WAIT if `wait_when_empty`.
  void AddTrial(const v1::LeaseTrialResponse& trial);
  // Workers must register again.
  void ForgetWorkers();

  bool wait_when_empty = false;
  int64_t heartbeat_ms = 20;
  uint64_t max_checkpoint_bytes = 0;
  std::function<absl::Status(const v1::LeaseTrialRequest&)> on_lease;
  std::function<absl::Status(const v1::HeartbeatRequest&)> on_heartbeat;
  std::function<absl::Status(const v1::CompleteRequest&)> on_complete;
  // What heartbeats answer.
  std::function<bool()> go_on = [] { return true; };

  std::vector<v1::RegisterRequest> registered() const;
  std::vector<v1::HeartbeatRequest> heartbeats() const;
  std::vector<v1::CompleteRequest> completed() const;
  std::vector<v1::FailRequest> failed() const;

  grpc::Status Register(grpc::ServerContext* context,
                        const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override;
  grpc::Status LeaseTrial(grpc::ServerContext* context,
                          const v1::LeaseTrialRequest* request,
                          v1::LeaseTrialResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status Complete(grpc::ServerContext* context,
                        const v1::CompleteRequest* request,
                        v1::CompleteResponse* response) override;
  grpc::Status Fail(grpc::ServerContext* context,
                    const v1::FailRequest* request,
                    v1::FailResponse* response) override;

 private:
  absl::Status CheckWorker(const std::string& worker_id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::deque<v1::LeaseTrialResponse> trials_ ABSL_GUARDED_BY(mutex_);
  std::string worker_id_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::RegisterRequest> registered_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::HeartbeatRequest> heartbeats_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::CompleteRequest> completed_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::FailRequest> failed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_FAKE_COORDINATOR_H_
