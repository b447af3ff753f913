// CoordinatorService over the ledger: what workers and people call.

#ifndef KODISTIL_COORDINATOR_COORDINATOR_SERVICE_H_
#define KODISTIL_COORDINATOR_COORDINATOR_SERVICE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "artifacts/artifact_store.h"
#include "artifacts/checkpoint_store.h"
#include "base/call_limit.h"
#include "coordinator/ledger.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

namespace kodistil {

struct CoordinatorServiceOptions {
  absl::Duration lease = absl::Seconds(30);
  absl::Duration heartbeat = absl::Seconds(10);
  // What a worker that finds nothing to do waits.
  absl::Duration retry_after = absl::Milliseconds(500);
  // Trials that one lease gives at most; 0 for as many as the worker asks for.
  int pack = 0;
  // Workers that will come, besides those that have: nothing of theirs is given
  // away in packs.
  int expected_workers = 0;
  // Calls at once, each of which has a thread; further ones are UNAVAILABLE.
  int max_calls = 1024;
  // The same for WatchSweep, which lasts as long as the sweep.
  int max_watches = 64;
};

// What workers call all the time is answered by callbacks, so that no thread
// waits for the disk.
using CoordinatorServiceBase =
    v1::CoordinatorService::WithCallbackMethod_LeaseTrial<
        v1::CoordinatorService::WithCallbackMethod_Heartbeat<
            v1::CoordinatorService::WithCallbackMethod_Complete<
                v1::CoordinatorService::WithCallbackMethod_Fail<
                    v1::CoordinatorService::Service>>>>;

// Thread-safe. The ledger and the stores must outlive it; without `checkpoints`
// workers are told to send none.
class CoordinatorServiceImpl final : public CoordinatorServiceBase {
 public:
  CoordinatorServiceImpl(const CoordinatorServiceOptions& options,
                         Ledger* ledger, const ArtifactStore* artifacts,
                         const CheckpointStore* checkpoints = nullptr)
      : options_(options),
        ledger_(*ledger),
        artifacts_(*artifacts),
        checkpoints_(checkpoints),
        calls_(options.max_calls, "the coordinator"),
        watches_(options.max_watches, "WatchSweep of the coordinator") {}

  // From now on trials are handed out; before, workers wait.
  void StartLeasing();
  // From now on nothing is handed out: workers are told that the sweep is over
  // if it is, else to wait for a coordinator that goes on with it.
  void StopLeasing();
  // Ends WatchSweep streams, so that the server can shut down.
  void CloseWatches();

  grpc::Status Register(grpc::ServerContext* context,
                        const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override;
  grpc::ServerUnaryReactor* LeaseTrial(
      grpc::CallbackServerContext* context,
      const v1::LeaseTrialRequest* request,
      v1::LeaseTrialResponse* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* Complete(grpc::CallbackServerContext* context,
                                     const v1::CompleteRequest* request,
                                     v1::CompleteResponse* response) override;
  grpc::ServerUnaryReactor* Fail(grpc::CallbackServerContext* context,
                                 const v1::FailRequest* request,
                                 v1::FailResponse* response) override;
  grpc::Status SubmitSweep(grpc::ServerContext* context,
                           const v1::SubmitSweepRequest* request,
                           v1::SubmitSweepResponse* response) override;
  grpc::Status WatchSweep(
      grpc::ServerContext* context, const v1::WatchSweepRequest* request,
      grpc::ServerWriter<v1::WatchSweepResponse>* writer) override;
  grpc::Status ListTrials(grpc::ServerContext* context,
                          const v1::ListTrialsRequest* request,
                          v1::ListTrialsResponse* response) override;
  grpc::Status Explain(grpc::ServerContext* context,
                       const v1::ExplainRequest* request,
                       v1::ExplainResponse* response) override;
  grpc::Status Cancel(grpc::ServerContext* context,
                      const v1::CancelRequest* request,
                      v1::CancelResponse* response) override;

 private:
  enum class Phase { kNotYet, kLeasing, kFinished };

  absl::Status CheckWorker(const std::string& worker_id);
  absl::Status Lease(const v1::LeaseTrialRequest& request,
                     v1::LeaseTrialResponse* response);
  absl::Status Renew(const v1::HeartbeatRequest& request,
                     v1::HeartbeatResponse* response);
  // False for a checkpoint that was not uploaded.
  template <typename Request>
  bool KeepsCheckpoint(const Request& request) const;
  // Workers that were heard within a lease, or are expected.
  int Workers();
  absl::Status CheckResult(const v1::CompleteRequest& request) const;

  const CoordinatorServiceOptions options_;
  Ledger& ledger_;
  const ArtifactStore& artifacts_;
  const CheckpointStore* const checkpoints_;
  CallLimit calls_;
  CallLimit watches_;

  absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kNotYet;
  bool close_watches_ ABSL_GUARDED_BY(mutex_) = false;
  // Registered workers and when each was last heard.
  std::map<std::string, absl::Time> workers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_COORDINATOR_SERVICE_H_
