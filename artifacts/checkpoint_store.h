// Checkpoints of trials in progress, kept so that a worker on another machine
// goes on from them: artifacts that are limited in size and go away again.

#ifndef KODISTIL_ARTIFACTS_CHECKPOINT_STORE_H_
#define KODISTIL_ARTIFACTS_CHECKPOINT_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "artifacts/artifact_store.h"

namespace kodistil {

struct CheckpointStoreOptions {
  // Of one checkpoint, and of all together.
  uint64_t max_bytes = uint64_t{256} << 20;
  uint64_t max_total_bytes = uint64_t{8} << 30;
  // How long one is kept that no trial has named yet.
  absl::Duration grace = absl::Minutes(2);

  absl::Status Validate() const;
};

// Thread-safe. One process has a root to itself.
class CheckpointStore {
 public:
  // Makes the folder, or takes over what is there.
  static absl::StatusOr<std::unique_ptr<CheckpointStore>> Open(
      const std::string& root, const CheckpointStoreOptions& options = {},
      absl::Time now = absl::Now());

  // As ArtifactStore::PutAs; RESOURCE_EXHAUSTED when it is too large or there
  // is no room for it.
  absl::Status Put(const std::string& digest, absl::string_view bytes,
                   absl::Time now = absl::Now());
  // As ArtifactStore::Get.
  absl::StatusOr<MappedFile> Get(const std::string& digest) const;
  bool Has(const std::string& digest) const;

  // `digests` are those that trials name now. What was named before and is not
  // among them is removed; what never was is removed `grace` after its Put.
  absl::Status KeepOnly(const std::set<std::string>& digests, absl::Time now);

  uint64_t max_bytes() const { return options_.max_bytes; }
  uint64_t total_bytes() const;

 private:
  struct Kept {
    uint64_t bytes = 0;
    absl::Time since;
    bool named = false;
  };

  CheckpointStore(const CheckpointStoreOptions& options, ArtifactStore store)
      : options_(options), store_(std::move(store)) {}

  const CheckpointStoreOptions options_;
  const ArtifactStore store_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Kept> kept_ ABSL_GUARDED_BY(mutex_);  // by digest
  uint64_t total_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_ARTIFACTS_CHECKPOINT_STORE_H_
