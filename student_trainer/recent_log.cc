#include "student_trainer/recent_log.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "corpus/utf8.h"

namespace kodistil {

RecentLog::RecentLog(const RecentLogOptions& options) : options_(options) {
  google::AddLogSink(this);
}

RecentLog::~RecentLog() { google::RemoveLogSink(this); }

std::string RecentLog::Text() const {
  absl::MutexLock lock(&mutex_);
  return Utf8Tail(absl::StrJoin(lines_, ""), options_.bytes);
}

void RecentLog::send(google::LogSeverity severity, const char* full_filename,
                     const char* base_filename, int line,
                     const google::LogMessageTime& time, const char* message,
                     size_t message_len) {
  std::string text =
      absl::StrCat(google::LogSink::ToString(severity, base_filename, line,
                                             time, message, message_len),
                   "\n");
  // Of a message that is longer than all may be, nobody sees the rest.
  if (text.size() > options_.bytes) {
    text = Utf8Tail(text, options_.bytes);
  }
  absl::MutexLock lock(&mutex_);
  lines_.push_back(std::move(text));
  while (lines_.size() > options_.lines) lines_.pop_front();
}

}  // namespace kodistil
