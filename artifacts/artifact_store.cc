#include "artifacts/artifact_store.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {

absl::Status ValidateDigest(const std::string& digest) {
  bool valid = digest.size() == 64;
  for (const char c : digest) {
    valid = valid && absl::ascii_isxdigit(c) && !absl::ascii_isupper(c);
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("digest '", absl::CHexEscape(digest.substr(0, 80)),
                   "': expected 64 lower-case hexadecimal digits (SHA-256)"));
}

absl::StatusOr<ArtifactStore> ArtifactStore::Open(const std::string& root) {
  if (root.empty()) {
    return absl::InvalidArgumentError("the artifacts' folder is empty");
  }
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(root));
  return ArtifactStore(root);
}

std::string ArtifactStore::PathOf(const std::string& digest) const {
  return JoinPath(JoinPath(root_, digest.substr(0, 2)), digest);
}

absl::StatusOr<std::string> ArtifactStore::Put(absl::string_view bytes) const {
  std::string digest = Sha256Hex(bytes);
  if (!Has(digest)) {
    KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(PathOf(digest), bytes));
  }
  return digest;
}

absl::StatusOr<std::string> ArtifactStore::PutFile(
    const std::string& path) const {
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return Put(file.bytes());
}

absl::Status ArtifactStore::PutAs(const std::string& digest,
                                  absl::string_view bytes) const {
  KODISTIL_RETURN_IF_ERROR(ValidateDigest(digest));
  const std::string found = Sha256Hex(bytes);
  if (found != digest) {
    return absl::DataLossError(absl::StrCat("artifact of ", bytes.size(),
                                            " bytes has digest ", found,
                                            ", expected ", digest));
  }
  if (Has(digest)) return absl::OkStatus();
  return WriteFileAtomically(PathOf(digest), bytes);
}

absl::StatusOr<MappedFile> ArtifactStore::Get(const std::string& digest) const {
  KODISTIL_RETURN_IF_ERROR(ValidateDigest(digest));
  const std::string path = PathOf(digest);
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(
        absl::StrCat("no artifact ", digest, " in ", root_));
  }
  KODISTIL_RETURN_IF_ERROR(file.status());
  const std::string found = Sha256Hex(file->bytes());
  if (found != digest) {
    return absl::DataLossError(absl::StrCat(
        path, " is damaged: ", file->bytes().size(), " bytes with digest ",
        found, ", expected the digest in its name"));
  }
  return file;
}

absl::Status ArtifactStore::Remove(const std::string& digest) const {
  KODISTIL_RETURN_IF_ERROR(ValidateDigest(digest));
  return RemoveAll(PathOf(digest));
}

bool ArtifactStore::Has(const std::string& digest) const {
  return Get(digest).ok();
}

bool ArtifactStore::Exists(const std::string& digest) const {
  return ValidateDigest(digest).ok() && FileExists(PathOf(digest));
}

}  // namespace kodistil
