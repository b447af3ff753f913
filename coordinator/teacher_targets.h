// Addresses of teacher servers behind the names that a user gave.

#ifndef KODISTIL_COORDINATOR_TEACHER_TARGETS_H_
#define KODISTIL_COORDINATOR_TEACHER_TARGETS_H_

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace kodistil {

// Addresses for `targets`, which are host:port: each name is resolved, so that
// one DNS name may stand for several servers, and stays with the address
// (name@10.0.0.1:50051, see NewChannel). INVALID_ARGUMENT names what is not
// host:port, UNAVAILABLE what does not resolve.
absl::StatusOr<std::vector<std::string>> ResolveTargets(
    const std::vector<std::string>& targets);

// Resolves targets again and again, so that servers that come under a known
// name are found. Thread-safe.
class TargetWatch {
 public:
  // `addresses`: what ResolveTargets gave for `targets`.
  TargetWatch(std::vector<std::string> targets,
              std::vector<std::string> addresses, absl::Duration interval);
  ~TargetWatch();

  // Of the last time that all targets resolved.
  std::vector<std::string> addresses() const;

 private:
  void Run(absl::Duration interval);

  const std::vector<std::string> targets_;
  absl::Notification over_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> addresses_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TEACHER_TARGETS_H_
