// How the sweep stands, for whoever asks: StatusService.

#ifndef KODISTIL_COORDINATOR_STATUS_BOARD_H_
#define KODISTIL_COORDINATOR_STATUS_BOARD_H_

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "base/call_limit.h"
#include "base/metrics.h"
#include "coordinator/ledger.h"
#include "kodistil/v1/status.grpc.pb.h"

namespace kodistil {

// The sweep's thread writes it, calls and metrics read it. Thread-safe. The
// ledger must outlive it.
class StatusBoard final : public v1::StatusService::Service {
 public:
  // Shows kodistil_sweep_label_{rows,tokens}_waiting in the process's metrics.
  explicit StatusBoard(const Ledger* ledger);

  void SetPhase(v1::GetStatusResponse::Phase phase);
  // The cells of the sweep, before the ledger has them.
  void SetPlanned(std::vector<v1::Trial> trials);
  // Of the labelling under way; nullopt once it is over.
  void SetLabelling(absl::optional<v1::LabellingStatus> labelling);
  // Of a cluster, where there is one.
  void SetJobs(std::vector<v1::JobStatus> jobs);

  v1::GetStatusResponse Look(absl::Time now) const;

  grpc::Status GetStatus(grpc::ServerContext* context,
                         const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;

 private:
  std::vector<v1::Trial> Trials() const;

  const Ledger& ledger_;
  CallLimit calls_;
  mutable absl::Mutex mutex_;
  v1::GetStatusResponse::Phase phase_ ABSL_GUARDED_BY(mutex_) =
      v1::GetStatusResponse::PHASE_PREPARING;
  std::vector<v1::Trial> planned_ ABSL_GUARDED_BY(mutex_);
  absl::optional<v1::LabellingStatus> labelling_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::JobStatus> jobs_ ABSL_GUARDED_BY(mutex_);
  std::vector<MetricRegistry::Registration>
      metrics_;  // last: they use the rest
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_STATUS_BOARD_H_
