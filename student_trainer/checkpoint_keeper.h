// Sends a worker's checkpoints to the coordinator while the training goes on,
// so that a worker on another machine can go on from them.

#ifndef KODISTIL_STUDENT_TRAINER_CHECKPOINT_KEEPER_H_
#define KODISTIL_STUDENT_TRAINER_CHECKPOINT_KEEPER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

struct CheckpointKeeperOptions {
  // Sends the content and returns its digest.
  std::function<absl::StatusOr<std::string>(absl::string_view content)> upload;
  // The largest checkpoint that the coordinator keeps; 0 when it keeps none.
  std::function<uint64_t()> max_bytes;
  // At least so long between two uploads of a trial: more would be sent than
  // heartbeats can name.
  std::function<absl::Duration()> interval;
};

// A thread that uploads one checkpoint at a time. Of each trial only the newest
// waits. What fails is logged; it is tried again when the coordinator was away,
// and the next epoch brings another. Waits in Flush alone; thread-safe.
class CheckpointKeeper {
 public:
  explicit CheckpointKeeper(CheckpointKeeperOptions options);
  // Waits for an upload in flight; drops what waits.
  ~CheckpointKeeper();

  // The trial has finished `epoch`, which left `file`.
  void Offer(const std::string& trial_id, uint32_t epoch, MappedFile file);

  // The newest that was uploaded.
  std::optional<v1::TrialCheckpoint> Newest(const std::string& trial_id) const;

  // Uploads what waits of the trial without further delay. False when that took
  // longer than `limit`.
  bool Flush(const std::string& trial_id, absl::Duration limit);

  // The trial is no longer ours.
  void Forget(const std::string& trial_id);

 private:
  struct Entry {
    std::optional<MappedFile> file;  // the one that waits
    uint32_t epoch = 0;              // of it
    bool sending = false;
    bool urgent = false;
    bool too_large = false;  // and said so
    absl::Time sent = absl::InfinitePast();
    std::optional<v1::TrialCheckpoint> newest;
  };

  void Loop();
  // The trial to upload next, and when; empty for none.
  std::string Next(absl::Time* when) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Upload(const std::string& trial_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CheckpointKeeperOptions options_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Entry> trials_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_CHECKPOINT_KEEPER_H_
