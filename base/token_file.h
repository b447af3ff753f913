// Bearer tokens in a file, so that they never stand on a command line.

#ifndef KODISTIL_BASE_TOKEN_FILE_H_
#define KODISTIL_BASE_TOKEN_FILE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kodistil {

// One token a line, 16 to 4,096 printable ASCII characters; the first is the
// one to send. Two lines allow a change of token without a gap: servers get
// the new one as a second line, then clients the new one alone, then servers.
// The file is read again a second after it was read last. Thread-safe.
class TokenFile {
 public:
  // INVALID_ARGUMENT naming the file, never its content.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(
      const std::string& path);

  std::string First();
  // Takes as long for a wrong token as for a right one.
  bool Accepts(absl::string_view token);

 private:
  explicit TokenFile(const std::string& path) : path_(path) {}
  absl::Status Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A file that cannot be read now leaves the tokens as they are.
  void Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  absl::Mutex mutex_;
  absl::Time read_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::string first_ ABSL_GUARDED_BY(mutex_);
  // SHA-256 of each, which are equally long.
  std::vector<std::string> digests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_TOKEN_FILE_H_
