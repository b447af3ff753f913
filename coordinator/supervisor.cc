#include "coordinator/supervisor.h"

#include <glog/logging.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

using v1::Trial;

constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr absl::Duration kDropInterval = absl::Seconds(1);

}  // namespace

bool Supervisor::WorkerDied(const std::string& name, const Ledger::Loss& loss) {
  bool at_work = false;
  for (const Trial& trial : ledger_.Trials()) {
    at_work = at_work || (trial.state() == Trial::STATE_RUNNING &&
                          trial.worker_id() == name);
  }
  const absl::Status released = ledger_.ReleaseWorker(name, loss);
  LOG_IF(ERROR, !released.ok()) << released;
  return at_work;
}

absl::Status Supervisor::ExpireLeases() {
  KODISTIL_ASSIGN_OR_RETURN(
      const std::vector<std::string> silent,
      ledger_.ExpireLeases(absl::Now(), [this](const std::string& worker) {
        return cluster_.LogTailOf(worker);
      }));
  for (const std::string& worker : silent) {
    LOG(WARNING) << "worker " << worker << " is silent and lost its trial";
    cluster_.Kill(worker);  // when it is one of ours, it starts anew
  }
  return absl::OkStatus();
}

absl::Status Supervisor::DropCheckpoints() {
  const absl::Time now = absl::Now();
  const bool finished = ledger_.Finished();
  if (checkpoints_ == nullptr ||
      (now - checkpoints_dropped_ < kDropInterval && !finished)) {
    return absl::OkStatus();
  }
  checkpoints_dropped_ = now;
  KODISTIL_ASSIGN_OR_RETURN(const auto wanted, ledger_.Checkpoints());
  // Once all have ended nobody will name what is not named yet.
  return checkpoints_->KeepOnly(wanted,
                                finished ? absl::InfiniteFuture() : now);
}

absl::Status Supervisor::CheckFailed() const {
  const int failed = ledger_.counts().failed;
  if (options_.max_failed < 0 || failed <= options_.max_failed) {
    return absl::OkStatus();
  }
  return absl::AbortedError(
      absl::StrCat(failed, failed == 1 ? " cell has" : " cells have",
                   " failed, more than --max_failed=", options_.max_failed,
                   ": the sweep was ended early; what is done is kept"));
}

absl::Status Supervisor::Run(SweepProgress* progress) {
  uint64_t version = 0;
  for (bool finished = ledger_.Finished(); !finished;) {
    if (options_.stopped()) {
      return absl::CancelledError("the sweep was stopped");
    }
    const absl::Status supervised = cluster_.Supervise(
        [this](const std::string& name, const Cluster::Death& death) {
          return WorkerDied(name, {death.reason, death.log_tail, death.counts});
        });
    // Workers end by themselves once the sweep has.
    if (!supervised.ok() && !ledger_.Finished()) return supervised;
    KODISTIL_RETURN_IF_ERROR(ExpireLeases());
    KODISTIL_RETURN_IF_ERROR(DropCheckpoints());
    finished = ledger_.WaitUntilFinished(kInterval);
    const std::vector<Trial> changed = ledger_.ChangedSince(&version);
    progress->Show(changed);
    options_.changed(changed);
    KODISTIL_RETURN_IF_ERROR(CheckFailed());
  }
  return DropCheckpoints();
}

}  // namespace kodistil
