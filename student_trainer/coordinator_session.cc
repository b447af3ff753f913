#include "student_trainer/coordinator_session.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// A coordinator that hangs, or that cancels calls as it shuts down, is as good
// as none.
bool IsUnreachable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

}  // namespace

CoordinatorSession::CoordinatorSession(std::shared_ptr<grpc::Channel> channel,
                                       const SessionOptions& options,
                                       const absl::Notification* stop)
    : stub_(v1::CoordinatorService::NewStub(channel)),
      options_(options),
      stop_(*stop) {}

absl::Duration CoordinatorSession::heartbeat_interval() const {
  absl::MutexLock lock(&mutex_);
  return heartbeat_interval_;
}

uint64_t CoordinatorSession::max_checkpoint_bytes() const {
  absl::MutexLock lock(&mutex_);
  return max_checkpoint_bytes_;
}

absl::Status CoordinatorSession::Try(const Method& method) {
  std::string worker_id;
  {
    absl::MutexLock lock(&mutex_);
    worker_id = worker_id_;
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
  return FromGrpcCall(method(&context, worker_id), context);
}

absl::Status CoordinatorSession::TryRegister() {
  v1::RegisterRequest request;
  request.set_worker(options_.worker);
  request.set_build(options_.build);
  v1::RegisterResponse response;
  KODISTIL_RETURN_IF_ERROR(
      Try([&](grpc::ClientContext* context, const std::string&) {
        return stub_->Register(context, request, &response);
      }));
  absl::MutexLock lock(&mutex_);
  worker_id_ = response.worker_id();
  heartbeat_interval_ =
      absl::Milliseconds(std::max<int64_t>(response.heartbeat_ms(), 10));
  max_checkpoint_bytes_ = response.max_checkpoint_bytes();
  return absl::OkStatus();
}

absl::Status CoordinatorSession::Call(const Method& method) {
  bool registered;
  {
    absl::MutexLock lock(&mutex_);
    registered = !worker_id_.empty();
  }
  bool was_unknown = false;
  absl::Time lost_since = absl::InfiniteFuture();
  for (int attempt = 0;;) {
    absl::Status status = registered ? absl::OkStatus() : TryRegister();
    if (status.ok()) {
      registered = true;
      status = Try(method);
    }
    if (absl::IsNotFound(status) && !was_unknown) {
      // A coordinator that was started again does not know its workers. When it
      // is the trial that it does not know, the next answer is the same.
      was_unknown = true;
      registered = false;
      continue;
    }
    if (!IsUnreachable(status)) {
      if (attempt > 0) LOG(INFO) << "the coordinator answers again";
      return status;
    }
    registered = false;
    lost_since = std::min(lost_since, absl::Now());
    if (attempt == 0) {
      LOG(WARNING) << "cannot reach the coordinator, trying again for up to "
                   << options_.unreachable_limit << ": " << status.message();
    }
    const absl::Duration delay = RetryDelay(status, attempt++);
    if (absl::Now() + delay - lost_since > options_.unreachable_limit) {
      return absl::UnavailableError(
          absl::StrCat("cannot reach the coordinator for ",
                       absl::FormatDuration(options_.unreachable_limit), ": ",
                       status.message()));
    }
    if (stop_.WaitForNotificationWithTimeout(delay)) {
      return absl::CancelledError("stopped while the coordinator was away");
    }
  }
}

absl::StatusOr<v1::LeaseTrialResponse> CoordinatorSession::LeaseTrial(
    int most) {
  v1::LeaseTrialResponse response;
  KODISTIL_RETURN_IF_ERROR(
      Call([&](grpc::ClientContext* context, const std::string& worker_id) {
        v1::LeaseTrialRequest request;
        request.set_worker_id(worker_id);
        request.set_most_trials(most);
        return stub_->LeaseTrial(context, request, &response);
      }));
  return response;
}

absl::StatusOr<bool> CoordinatorSession::Heartbeat(
    v1::HeartbeatRequest request) {
  v1::HeartbeatResponse response;
  KODISTIL_RETURN_IF_ERROR(
      Call([&](grpc::ClientContext* context, const std::string& worker_id) {
        request.set_worker_id(worker_id);
        return stub_->Heartbeat(context, request, &response);
      }));
  return response.go_on();
}

absl::Status CoordinatorSession::Complete(v1::CompleteRequest request) {
  return Call([&](grpc::ClientContext* context, const std::string& worker_id) {
    request.set_worker_id(worker_id);
    v1::CompleteResponse response;
    return stub_->Complete(context, request, &response);
  });
}

absl::Status CoordinatorSession::Fail(v1::FailRequest request) {
  return Call([&](grpc::ClientContext* context, const std::string& worker_id) {
    request.set_worker_id(worker_id);
    v1::FailResponse response;
    return stub_->Fail(context, request, &response);
  });
}

}  // namespace kodistil
