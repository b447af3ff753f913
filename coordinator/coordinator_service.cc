#include "coordinator/coordinator_service.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/status_macros.h"

namespace kodistil {

void CoordinatorServiceImpl::StartLeasing() {
  absl::MutexLock lock(&mutex_);
  phase_ = Phase::kLeasing;
}

void CoordinatorServiceImpl::StopLeasing() {
  absl::MutexLock lock(&mutex_);
  phase_ = ledger_.Finished() ? Phase::kFinished : Phase::kNotYet;
}

void CoordinatorServiceImpl::CloseWatches() {
  absl::MutexLock lock(&mutex_);
  close_watches_ = true;
}

absl::Status CoordinatorServiceImpl::CheckWorker(const std::string& worker_id) {
  absl::MutexLock lock(&mutex_);
  const auto it = workers_.find(worker_id);
  if (it == workers_.end()) {
    return absl::NotFoundError(absl::StrCat(
        "worker '", worker_id, "' is not registered; call Register"));
  }
  it->second = absl::Now();
  return absl::OkStatus();
}

grpc::Status CoordinatorServiceImpl::Register(
    grpc::ServerContext* context, const v1::RegisterRequest* request,
    v1::RegisterResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  if (request->worker().empty()) {
    return ToGrpcStatus(absl::InvalidArgumentError("worker: is empty"));
  }
  {
    absl::MutexLock lock(&mutex_);
    workers_[request->worker()] = absl::Now();
  }
  VLOG(1) << "worker " << request->worker() << " registered ("
          << request->build() << ")";
  response->set_worker_id(request->worker());
  response->set_lease_ms(absl::ToInt64Milliseconds(options_.lease));
  response->set_heartbeat_ms(absl::ToInt64Milliseconds(options_.heartbeat));
  return grpc::Status::OK;
}

grpc::Status CoordinatorServiceImpl::LeaseTrial(
    grpc::ServerContext* context, const v1::LeaseTrialRequest* request,
    v1::LeaseTrialResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  const absl::Status known = CheckWorker(request->worker_id());
  if (!known.ok()) return ToGrpcStatus(known);
  Phase phase;
  {
    absl::MutexLock lock(&mutex_);
    phase = phase_;
  }
  response->set_retry_after_ms(absl::ToInt64Milliseconds(options_.retry_after));
  response->set_kind(phase == Phase::kFinished
                         ? v1::LeaseTrialResponse::KIND_FINISHED
                         : v1::LeaseTrialResponse::KIND_WAIT);
  if (phase != Phase::kLeasing) return grpc::Status::OK;
  const auto leased = ledger_.Lease(request->worker_id(), absl::Now());
  if (!leased.ok()) return ToGrpcStatus(leased.status());
  if (!leased->has_value()) return grpc::Status::OK;
  const v1::Trial& trial = **leased;
  response->set_kind(v1::LeaseTrialResponse::KIND_TRIAL);
  response->set_trial_id(trial.trial_id());
  response->set_attempt(trial.attempts());
  *response->mutable_config() = trial.config();
  *response->mutable_inputs() = trial.inputs();
  VLOG(1) << "trial " << trial.trial_id().substr(0, 12) << " attempt "
          << trial.attempts() << " leased to " << request->worker_id();
  return grpc::Status::OK;
}

grpc::Status CoordinatorServiceImpl::Heartbeat(
    grpc::ServerContext* context, const v1::HeartbeatRequest* request,
    v1::HeartbeatResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  const absl::Status known = CheckWorker(request->worker_id());
  if (!known.ok()) return ToGrpcStatus(known);
  const absl::Status status = ledger_.Heartbeat(*request, absl::Now());
  if (status.code() == absl::StatusCode::kAborted) {
    response->set_go_on(false);
    return grpc::Status::OK;
  }
  response->set_go_on(status.ok());
  return ToGrpcStatus(status);
}

absl::Status CoordinatorServiceImpl::CheckResult(
    const v1::CompleteRequest& request) const {
  const v1::TrialResult& result = request.result();
  if (result.correct() > result.total() || result.parameters() == 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("result: found %d of %d correct with %d parameters",
                        result.correct(), result.total(), result.parameters()));
  }
  for (const auto& [name, digest] : result.files()) {
    if (name.empty() || name.find('/') != std::string::npos || name[0] == '.') {
      return absl::InvalidArgumentError(
          absl::StrCat("result: '", name, "' is no plain file name"));
    }
    if (!artifacts_.Has(digest)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "result: the file ", name, " (", digest, ") was not uploaded"));
    }
  }
  return absl::OkStatus();
}

grpc::Status CoordinatorServiceImpl::Complete(
    grpc::ServerContext* context, const v1::CompleteRequest* request,
    v1::CompleteResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  absl::Status status = CheckResult(*request);
  if (status.ok()) status = ledger_.Complete(*request);
  if (status.ok()) {
    VLOG(1) << "trial " << request->trial_id().substr(0, 12) << " attempt "
            << request->attempt() << " done: " << request->result().correct()
            << "/" << request->result().total();
  }
  return ToGrpcStatus(status);
}

grpc::Status CoordinatorServiceImpl::Fail(grpc::ServerContext* context,
                                          const v1::FailRequest* request,
                                          v1::FailResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  const absl::Status status = ledger_.Fail(*request);
  if (status.ok()) {
    LOG(WARNING) << "trial " << request->trial_id().substr(0, 12) << " attempt "
                 << request->attempt() << " given back by "
                 << request->worker_id() << ": " << request->reason();
  }
  return ToGrpcStatus(status);
}

grpc::Status CoordinatorServiceImpl::SubmitSweep(
    grpc::ServerContext* context, const v1::SubmitSweepRequest* request,
    v1::SubmitSweepResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  const auto submitted =
      ledger_.Submit({request->trials().begin(), request->trials().end()});
  if (!submitted.ok()) return ToGrpcStatus(submitted.status());
  response->set_done(submitted->done);
  response->set_added(submitted->added);
  return grpc::Status::OK;
}

grpc::Status CoordinatorServiceImpl::WatchSweep(
    grpc::ServerContext* context, const v1::WatchSweepRequest* request,
    grpc::ServerWriter<v1::WatchSweepResponse>* writer) {
  const auto place = watches_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  uint64_t seen = 0;
  while (!context->IsCancelled()) {
    {
      absl::MutexLock lock(&mutex_);
      if (close_watches_) {
        return ToGrpcStatus(absl::UnavailableError("shutting down"));
      }
    }
    const uint64_t version =
        ledger_.WaitForChange(seen, absl::Milliseconds(500));
    if (version == seen) continue;
    seen = version;
    v1::WatchSweepResponse response;
    for (v1::Trial& trial : ledger_.Trials()) {
      *response.add_trials() = std::move(trial);
    }
    if (!writer->Write(response)) break;
    if (ledger_.Finished()) break;
  }
  return grpc::Status::OK;
}

grpc::Status CoordinatorServiceImpl::ListTrials(
    grpc::ServerContext* context, const v1::ListTrialsRequest* request,
    v1::ListTrialsResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  for (v1::Trial& trial : ledger_.Trials()) {
    *response->add_trials() = std::move(trial);
  }
  return grpc::Status::OK;
}

grpc::Status CoordinatorServiceImpl::Explain(grpc::ServerContext* context,
                                             const v1::ExplainRequest* request,
                                             v1::ExplainResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  const auto trial = ledger_.Find(request->trial_id());
  if (!trial.ok()) return ToGrpcStatus(trial.status());
  *response->mutable_trial() = *trial;
  for (std::string& line : ExplainTrial(*trial)) {
    response->add_lines(std::move(line));
  }
  return grpc::Status::OK;
}

grpc::Status CoordinatorServiceImpl::Cancel(grpc::ServerContext* context,
                                            const v1::CancelRequest* request,
                                            v1::CancelResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  return ToGrpcStatus(ledger_.Cancel(request->trial_id()));
}

std::vector<std::string> ExplainTrial(const v1::Trial& trial) {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("Trial ", trial.trial_id(), " is ",
                               v1::Trial::State_Name(trial.state()).substr(6),
                               "."));
  lines.push_back(absl::StrCat(
      "It was leased ", trial.attempts(), " times; ", trial.lost(),
      " attempts were lost with their worker, ", trial.failures(), " failed."));
  if (trial.state() == v1::Trial::STATE_RUNNING) {
    lines.push_back(absl::StrFormat(
        "Worker %s is in epoch %d of %d (%.0f %% of it done).",
        trial.worker_id(), trial.epoch(), trial.config().train_epoch(),
        100 * trial.epoch_fraction()));
  }
  if (trial.state() == v1::Trial::STATE_PENDING) {
    lines.push_back("It waits for a worker that asks for a trial.");
  }
  if (!trial.reason().empty()) {
    lines.push_back(absl::StrCat("Last reason: ", trial.reason()));
  }
  return lines;
}

}  // namespace kodistil
