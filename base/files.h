// Files that are read whole or mapped, written atomically, and locked.

#ifndef KODISTIL_BASE_FILES_H_
#define KODISTIL_BASE_FILES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// A read-only memory-mapped file. Movable; thread-safe to read.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept;

  // NOT_FOUND, PERMISSION_DENIED, or INVALID_ARGUMENT (not a regular file),
  // each naming the path.
  static absl::StatusOr<MappedFile> Open(const std::string& path);

  // Valid while this object lives.
  absl::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = "";
  size_t size_ = 0;
};

// The whole file. Errors as MappedFile::Open.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces `path` by `bytes` so that a crash leaves the old or the new file:
// temporary file, fsync, rename, fsync of the folder. Makes missing folders.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view bytes);

// Makes `path` and its parents. PERMISSION_DENIED and others name the path.
absl::Status MakeDirectories(const std::string& path);

// Removes a file or a whole folder; a missing one is OK.
absl::Status RemoveAll(const std::string& path);

bool FileExists(const std::string& path);
bool IsDirectory(const std::string& path);

// Names (not paths) in a folder, sorted.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);

std::string JoinPath(absl::string_view a, absl::string_view b);

// An exclusive lock between processes, held on `path` (made if missing) until
// this object dies. Movable.
class FileLock {
 public:
  FileLock() = default;
  ~FileLock();
  FileLock(FileLock&& other) noexcept { std::swap(fd_, other.fd_); }
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  // Waits for the lock.
  static absl::StatusOr<FileLock> Acquire(const std::string& path);
  // UNAVAILABLE when another process holds it.
  static absl::StatusOr<FileLock> TryAcquire(const std::string& path);

 private:
  int fd_ = -1;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_FILES_H_
