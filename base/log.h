// Log lines on stderr: glog's text, or JSON for machines.

#ifndef KODISTIL_BASE_LOG_H_
#define KODISTIL_BASE_LOG_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kodistil {

enum class LogFormat { kText, kJson };

// "text" or "json"; INVALID_ARGUMENT for anything else.
absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view name);

// What every line of this process looks like from now on, SayLine's too. Call
// from one thread, before StartLogging.
void SetLogFormat(LogFormat format);
LogFormat GetLogFormat();

// Sends glog's lines to stderr and nowhere else, each in one write, in the
// format that was set, in UTC, with the thread's context. `argv0` names the
// service. Call once; the stack trace of a failed CHECK stays text.
void StartLogging(const char* argv0);

enum class Severity { kInfo, kWarning, kError };

// Says something to a person on stderr: `text` as it is, or its lines as JSON;
// nothing where it is empty. Thread-safe.
void SayLine(absl::string_view text, Severity severity = Severity::kInfo);

// What a thread works on; empty and 0 for unknown.
struct LogContext {
  std::string trial;
  uint32_t attempt = 0;
  std::string request_id;
};

// While it lives, lines of its thread carry what it knows, and what outer ones
// know besides. Destroy it on its thread, inner ones first.
class ScopedLogContext {
 public:
  explicit ScopedLogContext(LogContext context);
  ~ScopedLogContext();
  ScopedLogContext(const ScopedLogContext&) = delete;
  ScopedLogContext& operator=(const ScopedLogContext&) = delete;

 private:
  LogContext outer_;
};

struct LogLine {
  absl::Time time;
  std::string severity;  // "INFO", ...
  std::string service;
  std::string file;  // empty for what was said to a person
  int line = 0;
  LogContext context;
  std::string message;
};

// {"ts": RFC 3339 in UTC with microseconds, "severity", "service", "msg", and
// where known "file", "line", "trial", "attempt", "request_id"}, without a line
// end. What is not UTF-8 becomes U+FFFD.
std::string LogLineJson(const LogLine& line);

}  // namespace kodistil

#endif  // KODISTIL_BASE_LOG_H_
