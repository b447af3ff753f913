// Files named by their content: a folder in which each file's name is its
// SHA-256.

#ifndef KODISTIL_ARTIFACTS_ARTIFACT_STORE_H_
#define KODISTIL_ARTIFACTS_ARTIFACT_STORE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/files.h"

namespace kodistil {

// <root>/<first 2 digits>/<digest>. Several processes may share a root: files
// appear whole or not at all and never change. Thread-safe.
class ArtifactStore {
 public:
  // Makes the folder.
  static absl::StatusOr<ArtifactStore> Open(const std::string& root);

  // Keeps `bytes` durably and returns their digest. What is there already is
  // not written again, unless it is damaged.
  absl::StatusOr<std::string> Put(absl::string_view bytes) const;
  absl::StatusOr<std::string> PutFile(const std::string& path) const;
  // As Put; DATA_LOSS naming both digests when `bytes` have another.
  absl::Status PutAs(const std::string& digest, absl::string_view bytes) const;

  // The content, checked against its digest. NOT_FOUND, or DATA_LOSS naming the
  // file when it is damaged; INVALID_ARGUMENT when `digest` is none.
  absl::StatusOr<MappedFile> Get(const std::string& digest) const;
  // Whether Get would succeed.
  bool Has(const std::string& digest) const;
  // Whether there is a file of this digest, which was checked when it came.
  bool Exists(const std::string& digest) const;

  // Removes the content, if it is there. Who has it mapped keeps it.
  absl::Status Remove(const std::string& digest) const;

  // Where the content of `digest` lies or would lie.
  std::string PathOf(const std::string& digest) const;

 private:
  explicit ArtifactStore(std::string root) : root_(std::move(root)) {}

  std::string root_;
};

// INVALID_ARGUMENT unless `digest` is 64 lower-case hexadecimal digits.
absl::Status ValidateDigest(const std::string& digest);

}  // namespace kodistil

#endif  // KODISTIL_ARTIFACTS_ARTIFACT_STORE_H_
