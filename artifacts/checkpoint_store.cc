#include "artifacts/checkpoint_store.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Digest and size of what is there, unchecked. What a crash left half written
// is removed.
absl::StatusOr<std::map<std::string, uint64_t>> FindKept(
    const std::string& root) {
  std::map<std::string, uint64_t> found;
  KODISTIL_ASSIGN_OR_RETURN(const auto folders, ListDirectory(root));
  for (const std::string& folder : folders) {
    const std::string path = JoinPath(root, folder);
    KODISTIL_ASSIGN_OR_RETURN(const auto names, ListDirectory(path));
    for (const std::string& name : names) {
      const std::string file = JoinPath(path, name);
      if (ValidateDigest(name).ok()) {
        KODISTIL_ASSIGN_OR_RETURN(const MappedFile mapped,
                                  MappedFile::Open(file));
        found[name] = mapped.bytes().size();
      } else {
        KODISTIL_RETURN_IF_ERROR(RemoveAll(file));
      }
    }
  }
  return found;
}

}  // namespace

absl::Status CheckpointStoreOptions::Validate() const {
  if (max_bytes < 1 || max_total_bytes < max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoints of ", max_bytes, " bytes, ", max_total_bytes,
                     " together: expected at least 1, and no less together"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CheckpointStore>> CheckpointStore::Open(
    const std::string& root, const CheckpointStoreOptions& options,
    absl::Time now) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(ArtifactStore store, ArtifactStore::Open(root));
  auto result = std::unique_ptr<CheckpointStore>(
      new CheckpointStore(options, std::move(store)));
  KODISTIL_ASSIGN_OR_RETURN(const auto found, FindKept(root));
  absl::MutexLock lock(&result->mutex_);
  for (const auto& [digest, bytes] : found) {
    result->kept_[digest] = {bytes, now, /*named=*/false};
    result->total_bytes_ += bytes;
  }
  return result;
}

absl::Status CheckpointStore::Put(const std::string& digest,
                                  absl::string_view bytes, absl::Time now) {
  if (bytes.size() > options_.max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("checkpoint ", digest, " has ", bytes.size(),
                     " bytes, expected at most ", options_.max_bytes));
  }
  bool added = false;
  {
    // The room is taken before the slow write, so that several at a time do
    // not exceed the limit together.
    absl::MutexLock lock(&mutex_);
    const auto it = kept_.find(digest);
    if (it != kept_.end()) {
      // Whoever sends it will name it again.
      it->second.since = now;
      it->second.named = false;
    } else if (total_bytes_ + bytes.size() > options_.max_total_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "no room for checkpoint ", digest, " of ", bytes.size(), " bytes: ",
          total_bytes_, " of ", options_.max_total_bytes, " bytes are taken"));
    } else {
      kept_[digest] = {bytes.size(), now, /*named=*/false};
      total_bytes_ += bytes.size();
      added = true;
    }
  }
  const absl::Status status = store_.PutAs(digest, bytes);
  absl::MutexLock lock(&mutex_);
  const auto it = kept_.find(digest);
  if (status.ok() && it == kept_.end()) {  // dropped in between
    kept_[digest] = {bytes.size(), now, /*named=*/false};
    total_bytes_ += bytes.size();
  } else if (!status.ok() && added && it != kept_.end()) {
    total_bytes_ -= it->second.bytes;
    kept_.erase(it);
  }
  return status;
}

absl::StatusOr<MappedFile> CheckpointStore::Get(
    const std::string& digest) const {
  return store_.Get(digest);
}

bool CheckpointStore::Has(const std::string& digest) const {
  absl::MutexLock lock(&mutex_);
  return kept_.count(digest) > 0;
}

absl::Status CheckpointStore::KeepOnly(const std::set<std::string>& digests,
                                       absl::Time now) {
  absl::MutexLock lock(&mutex_);
  for (auto it = kept_.begin(); it != kept_.end();) {
    Kept& kept = it->second;
    const bool wanted = digests.count(it->first) > 0;
    if (wanted) kept.named = true;
    if (wanted || (!kept.named && now - kept.since < options_.grace)) {
      ++it;
      continue;
    }
    // Under the lock, so that no Put of the same content comes in between.
    KODISTIL_RETURN_IF_ERROR(store_.Remove(it->first));
    total_bytes_ -= kept.bytes;
    it = kept_.erase(it);
  }
  return absl::OkStatus();
}

uint64_t CheckpointStore::total_bytes() const {
  absl::MutexLock lock(&mutex_);
  return total_bytes_;
}

}  // namespace kodistil
