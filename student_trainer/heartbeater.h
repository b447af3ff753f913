// Keeps a trial's lease alive while it trains, and carries its progress.

#ifndef KODISTIL_STUDENT_TRAINER_HEARTBEATER_H_
#define KODISTIL_STUDENT_TRAINER_HEARTBEATER_H_

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "kodistil/v1/coordinator.pb.h"
#include "student_trainer/checkpoint_keeper.h"
#include "student_trainer/coordinator_session.h"
#include "student_trainer/training_loop.h"

namespace kodistil {

// A thread that sends a heartbeat every interval that the coordinator asked
// for, and soon after an epoch, until this object dies. It names the newest
// checkpoint that the keeper has uploaded. Thread-safe. Borrows the session and
// the keeper.
class Heartbeater {
 public:
  Heartbeater(CoordinatorSession* session, const CheckpointKeeper* keeper,
              const v1::LeasedTrial& trial);
  // Waits for a heartbeat in flight.
  ~Heartbeater();

  // Keeps the progress for the next heartbeat; finished epochs are kept until
  // the coordinator has answered.
  void Report(const TrainProgress& progress);

  // OK while the lease is ours. ABORTED when the coordinator wants nothing more
  // of this attempt, UNAVAILABLE when it could not be reached for too long.
  absl::Status status() const;

 private:
  void Loop();
  bool ShouldSend() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return done_ || !finished_.empty();
  }
  // Sends what there is; false when there is no use in sending more.
  bool Send();

  CoordinatorSession& session_;
  const CheckpointKeeper& keeper_;
  mutable absl::Mutex mutex_;
  v1::HeartbeatRequest latest_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::EpochReport> finished_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_HEARTBEATER_H_
