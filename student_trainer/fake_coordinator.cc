#include "student_trainer/fake_coordinator.h"

#include "absl/strings/str_cat.h"
#include "base/grpc_bridge.h"

namespace kodistil {

void FakeCoordinator::AddTrial(const v1::LeaseTrialResponse& trial) {
  absl::MutexLock lock(&mutex_);
  trials_.push_back(trial);
}

void FakeCoordinator::ForgetWorkers() {
  absl::MutexLock lock(&mutex_);
  worker_id_.clear();
}

std::vector<v1::RegisterRequest> FakeCoordinator::registered() const {
  absl::MutexLock lock(&mutex_);
  return registered_;
}

std::vector<v1::HeartbeatRequest> FakeCoordinator::heartbeats() const {
  absl::MutexLock lock(&mutex_);
  return heartbeats_;
}

std::vector<v1::CompleteRequest> FakeCoordinator::completed() const {
  absl::MutexLock lock(&mutex_);
  return completed_;
}

std::vector<v1::FailRequest> FakeCoordinator::failed() const {
  absl::MutexLock lock(&mutex_);
  return failed_;
}

absl::Status FakeCoordinator::CheckWorker(const std::string& worker_id) const {
  if (worker_id == worker_id_) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("worker '", worker_id, "' is not registered"));
}

grpc::Status FakeCoordinator::Register(grpc::ServerContext* context,
                                       const v1::RegisterRequest* request,
                                       v1::RegisterResponse* response) {
  absl::MutexLock lock(&mutex_);
  registered_.push_back(*request);
  worker_id_ = absl::StrCat("worker ", registered_.size());
  response->set_worker_id(worker_id_);
  response->set_lease_ms(30000);
  response->set_heartbeat_ms(heartbeat_ms);
  response->set_max_checkpoint_bytes(max_checkpoint_bytes);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::LeaseTrial(grpc::ServerContext* context,
                                         const v1::LeaseTrialRequest* request,
                                         v1::LeaseTrialResponse* response) {
  if (on_lease) {
    const absl::Status status = on_lease(*request);
    if (!status.ok()) return ToGrpcStatus(status);
  }
  absl::MutexLock lock(&mutex_);
  const absl::Status known = CheckWorker(request->worker_id());
  if (!known.ok()) return ToGrpcStatus(known);
  if (!trials_.empty()) {
    *response = trials_.front();
    trials_.pop_front();
    return grpc::Status::OK;
  }
  response->set_kind(wait_when_empty ? v1::LeaseTrialResponse::KIND_WAIT
                                     : v1::LeaseTrialResponse::KIND_FINISHED);
  response->set_retry_after_ms(10);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Heartbeat(grpc::ServerContext* context,
                                        const v1::HeartbeatRequest* request,
                                        v1::HeartbeatResponse* response) {
  {
    absl::MutexLock lock(&mutex_);
    heartbeats_.push_back(*request);
    const absl::Status known = CheckWorker(request->worker_id());
    if (!known.ok()) return ToGrpcStatus(known);
  }
  if (on_heartbeat) {
    const absl::Status status = on_heartbeat(*request);
    if (!status.ok()) return ToGrpcStatus(status);
  }
  response->set_go_on(go_on());
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Complete(grpc::ServerContext* context,
                                       const v1::CompleteRequest* request,
                                       v1::CompleteResponse* response) {
  if (on_complete) {
    const absl::Status status = on_complete(*request);
    if (!status.ok()) return ToGrpcStatus(status);
  }
  absl::MutexLock lock(&mutex_);
  const absl::Status known = CheckWorker(request->worker_id());
  if (!known.ok()) return ToGrpcStatus(known);
  completed_.push_back(*request);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Fail(grpc::ServerContext* context,
                                   const v1::FailRequest* request,
                                   v1::FailResponse* response) {
  absl::MutexLock lock(&mutex_);
  const absl::Status known = CheckWorker(request->worker_id());
  if (!known.ok()) return ToGrpcStatus(known);
  failed_.push_back(*request);
  return grpc::Status::OK;
}

}  // namespace kodistil
