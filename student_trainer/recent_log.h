// The last lines that this process has logged.

#ifndef KODISTIL_STUDENT_TRAINER_RECENT_LOG_H_
#define KODISTIL_STUDENT_TRAINER_RECENT_LOG_H_

#include <glog/logging.h>

#include <cstddef>
#include <deque>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace kodistil {

struct RecentLogOptions {
  // Messages kept, and bytes of them all together.
  size_t lines = 20;
  size_t bytes = 4000;
};

// Collects while it lives what goes to the log at any severity. Thread-safe.
class RecentLog final : public google::LogSink {
 public:
  explicit RecentLog(const RecentLogOptions& options = {});
  ~RecentLog() override;

  // As the log has them, oldest first, each with its line's end; well-formed
  // UTF-8.
  std::string Text() const;

  void send(google::LogSeverity severity, const char* full_filename,
            const char* base_filename, int line,
            const google::LogMessageTime& time, const char* message,
            size_t message_len) override;

 private:
  const RecentLogOptions options_;
  mutable absl::Mutex mutex_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_RECENT_LOG_H_
