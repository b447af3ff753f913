#include "coordinator/coordinator_service.h"

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/log.h"
#include "base/names.h"
#include "base/request_id.h"
#include "base/status_macros.h"
#include "coordinator/explain_trial.h"

namespace kodistil {
namespace {

// Watchers get at most one message in so long.
constexpr absl::Duration kWatchInterval = absl::Milliseconds(100);
// Of one lease, whatever a worker asks for.
constexpr uint32_t kMostTrials = 1024;

// The answer of a call that is over already.
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                 const absl::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// Answers once the ledger calls it, after `log`; `place`, which is the
// service's, is held until then: once answered the service may be gone, while
// the ledger still has this function.
LedgerLog::Done Later(grpc::ServerUnaryReactor* reactor, CallLimit::Place place,
                      LedgerLog::Done log) {
  auto held =
      std::make_shared<std::optional<CallLimit::Place>>(std::move(place));
  return [reactor, held = std::move(held),
          log = std::move(log)](const absl::Status& status) {
    log(status);
    held->reset();
    reactor->Finish(ToGrpcStatus(status));
  };
}

// What log lines about an attempt carry.
template <typename Request>
LogContext ContextOf(const grpc::ServerContextBase& context,
                     const Request& request) {
  return {request.trial_id(), request.attempt(), RequestIdOf(context)};
}

void SetTrials(const std::vector<v1::Trial>& trials,
               v1::LeaseTrialResponse* response) {
  response->set_kind(v1::LeaseTrialResponse::KIND_TRIAL);
  const auto set = [](const v1::Trial& from, auto* to) {
    to->set_trial_id(from.trial_id());
    to->set_attempt(from.attempts());
    *to->mutable_config() = from.config();
    *to->mutable_inputs() = from.inputs();
    if (from.has_checkpoint()) *to->mutable_checkpoint() = from.checkpoint();
    VLOG(1) << "trial " << from.trial_id().substr(0, 12) << " attempt "
            << from.attempts() << " leased to " << from.worker_id();
  };
  set(trials.front(), response);
  for (size_t i = 1; i < trials.size(); ++i) {
    set(trials[i], response->add_further());
  }
}

}  // namespace

template <typename Request>
bool CoordinatorServiceImpl::KeepsCheckpoint(const Request& request) const {
  if (!request.has_checkpoint()) return true;
  if (checkpoints_ != nullptr &&
      checkpoints_->Has(request.checkpoint().digest())) {
    return true;
  }
  LOG(WARNING) << "trial " << request.trial_id().substr(0, 12) << ": "
               << request.worker_id() << " names the checkpoint "
               << request.checkpoint().digest() << ", which is not here";
  return false;
}

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

int CoordinatorServiceImpl::Workers() {
  absl::MutexLock lock(&mutex_);
  const absl::Time since = absl::Now() - options_.lease;
  int heard = 0;
  for (const auto& [worker, last] : workers_) heard += last > since;
  return std::max(heard, options_.expected_workers);
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
  if (checkpoints_ != nullptr) {
    response->set_max_checkpoint_bytes(checkpoints_->max_bytes());
  }
  return grpc::Status::OK;
}

absl::Status CoordinatorServiceImpl::Lease(const v1::LeaseTrialRequest& request,
                                           v1::LeaseTrialResponse* response) {
  KODISTIL_RETURN_IF_ERROR(CheckWorker(request.worker_id()));
  Phase phase;
  {
    absl::MutexLock lock(&mutex_);
    phase = phase_;
  }
  response->set_retry_after_ms(absl::ToInt64Milliseconds(options_.retry_after));
  response->set_kind(phase == Phase::kFinished
                         ? v1::LeaseTrialResponse::KIND_FINISHED
                         : v1::LeaseTrialResponse::KIND_WAIT);
  if (phase != Phase::kLeasing) return absl::OkStatus();
  LeaseLimits limits;
  limits.most = std::min<uint32_t>(request.most_trials(), kMostTrials);
  if (options_.pack > 0) limits.most = std::min(limits.most, options_.pack);
  limits.workers = Workers();
  KODISTIL_ASSIGN_OR_RETURN(
      const std::vector<v1::Trial> leased,
      ledger_.Lease(request.worker_id(), absl::Now(), limits));
  if (!leased.empty()) SetTrials(leased, response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::LeaseTrial(
    grpc::CallbackServerContext* context, const v1::LeaseTrialRequest* request,
    v1::LeaseTrialResponse* response) {
  const auto place = calls_.Enter(context);
  return Answer(context,
                place.ok() ? Lease(*request, response) : place.status());
}

absl::Status CoordinatorServiceImpl::Renew(const v1::HeartbeatRequest& request,
                                           v1::HeartbeatResponse* response) {
  KODISTIL_RETURN_IF_ERROR(CheckWorker(request.worker_id()));
  absl::Status status;
  if (KeepsCheckpoint(request)) {
    status = ledger_.Heartbeat(request, absl::Now());
  } else {
    v1::HeartbeatRequest without = request;
    without.clear_checkpoint();
    status = ledger_.Heartbeat(without, absl::Now());
  }
  response->set_go_on(status.ok());
  return absl::IsAborted(status) ? absl::OkStatus() : status;
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::Heartbeat(
    grpc::CallbackServerContext* context, const v1::HeartbeatRequest* request,
    v1::HeartbeatResponse* response) {
  const ScopedLogContext log(ContextOf(*context, *request));
  const auto place = calls_.Enter(context);
  return Answer(context,
                place.ok() ? Renew(*request, response) : place.status());
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
    KODISTIL_RETURN_IF_ERROR(CheckName("result: file", name));
    if (!artifacts_.Exists(digest)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "result: the file ", name, " (", digest, ") was not uploaded"));
    }
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::Complete(
    grpc::CallbackServerContext* context, const v1::CompleteRequest* request,
    v1::CompleteResponse* response) {
  auto place = calls_.Enter(context);
  if (!place.ok()) return Answer(context, place.status());
  const absl::Status status = CheckResult(*request);
  if (!status.ok()) return Answer(context, status);
  // Made anew by each call of DefaultReactor.
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  ledger_.Complete(*request, absl::Now(),
                   Later(reactor, *std::move(place),
                         [request, log = ContextOf(*context, *request)](
                             const absl::Status& status) {
                           if (!status.ok()) return;
                           const ScopedLogContext scope(log);
                           VLOG(1)
                               << "trial " << request->trial_id().substr(0, 12)
                               << " attempt " << request->attempt()
                               << " done: " << request->result().correct()
                               << "/" << request->result().total();
                         }));
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::Fail(
    grpc::CallbackServerContext* context, const v1::FailRequest* request,
    v1::FailResponse* response) {
  auto place = calls_.Enter(context);
  if (!place.ok()) return Answer(context, place.status());
  const LogContext log = ContextOf(*context, *request);
  const ScopedLogContext scope(log);
  v1::FailRequest kept = *request;
  if (!KeepsCheckpoint(*request)) kept.clear_checkpoint();
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  ledger_.Fail(kept, absl::Now(),
               Later(reactor, *std::move(place),
                     [request, log](const absl::Status& status) {
                       const ScopedLogContext scope(log);
                       LOG_IF(WARNING, status.ok())
                           << "trial " << request->trial_id().substr(0, 12)
                           << " attempt " << request->attempt()
                           << " given back by " << request->worker_id() << ": "
                           << request->reason();
                     }));
  return reactor;
}

grpc::Status CoordinatorServiceImpl::SubmitSweep(
    grpc::ServerContext* context, const v1::SubmitSweepRequest* request,
    v1::SubmitSweepResponse* response) {
  const auto place = calls_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  for (const v1::Trial& trial : request->trials()) {
    // It names folders here and at the workers.
    const absl::Status named = CheckName("trial id", trial.trial_id());
    if (!named.ok()) return ToGrpcStatus(named);
  }
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
    if (seen > 0) ledger_.WaitUntilFinished(kWatchInterval);
    seen = version;
    // Before leasing begins, the sweep's trials may not be there yet.
    bool finished = ledger_.Finished();
    {
      absl::MutexLock lock(&mutex_);
      finished = finished && phase_ != Phase::kNotYet;
    }
    v1::WatchSweepResponse response;
    for (v1::Trial& trial : ledger_.Trials()) {
      *response.add_trials() = std::move(trial);
    }
    if (!writer->Write(response)) break;
    if (finished) break;
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
  TrialSituation situation;
  situation.now = absl::Now();
  situation.queue_position = ledger_.QueuePosition(trial->trial_id());
  situation.lease_end = ledger_.LeaseEnd(trial->trial_id());
  situation.busy_workers = ledger_.counts().running;
  {
    absl::MutexLock lock(&mutex_);
    situation.leasing = phase_ == Phase::kLeasing;
    for (const auto& [worker, heard] : workers_) {
      if (situation.now - heard < options_.lease) ++situation.workers;
      if (worker == trial->worker_id()) situation.last_heard = heard;
    }
  }
  for (std::string& line : ExplainTrial(*trial, &situation)) {
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

}  // namespace kodistil
