#include "base/log.h"

#include <errno.h>
#include <glog/logging.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

std::atomic<LogFormat> current_format{LogFormat::kText};
thread_local LogContext thread_context;

// Set once, before the process has a second thread that logs.
std::string& ServiceName() {
  static auto* const name = new std::string("unknown");
  return *name;
}

void WriteAll(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    // There is no other place to say it.
    if (written <= 0) return;
    text.remove_prefix(written);
  }
}

// " [trial=abc attempt=2 request=7f]", or "" for nothing known.
std::string ContextText(const LogContext& context) {
  std::string text;
  if (!context.trial.empty()) absl::StrAppend(&text, " trial=", context.trial);
  if (context.attempt != 0) {
    absl::StrAppend(&text, " attempt=", context.attempt);
  }
  if (!context.request_id.empty()) {
    absl::StrAppend(&text, " request=", context.request_id);
  }
  if (text.empty()) return text;
  return absl::StrCat(" [", text.substr(1), "]");
}

class StderrSink final : public google::LogSink {
 public:
  void send(google::LogSeverity severity, const char* full_filename,
            const char* base_filename, int line,
            const google::LogMessageTime& time, const char* message,
            size_t message_length) override {
    const std::string text(message, message_length);
    if (GetLogFormat() == LogFormat::kText) {
      WriteAll(absl::StrCat(ToString(severity, base_filename, line, time,
                                     text.data(), text.size()),
                            ContextText(thread_context), "\n"));
      return;
    }
    LogLine log;
    log.time =
        absl::FromTimeT(time.timestamp()) + absl::Microseconds(time.usec());
    log.severity = google::GetLogSeverityName(severity);
    log.service = ServiceName();
    log.file = full_filename;
    log.line = line;
    log.context = thread_context;
    log.message = text;
    WriteAll(absl::StrCat(LogLineJson(log), "\n"));
  }
};

absl::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "INFO";
    case Severity::kWarning:
      return "WARNING";
    case Severity::kError:
      break;
  }
  return "ERROR";
}

}  // namespace

absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("found '", name, "', expected text or json"));
}

void SetLogFormat(LogFormat format) { current_format = format; }

LogFormat GetLogFormat() { return current_format; }

void StartLogging(const char* argv0) {
  const absl::string_view path = argv0;
  ServiceName() = std::string(path.substr(path.rfind('/') + 1));
  FLAGS_log_utc_time = true;
  // The sink alone writes: no files, and nothing twice.
  FLAGS_logtostderr = false;
  FLAGS_alsologtostderr = false;
  FLAGS_stderrthreshold = google::NUM_SEVERITIES;
  for (int severity = 0; severity < google::NUM_SEVERITIES; ++severity) {
    google::SetLogDestination(severity, "");
  }
  static auto* const sink = new StderrSink;
  google::AddLogSink(sink);
  google::InitGoogleLogging(argv0);
}

void SayLine(absl::string_view text, Severity severity) {
  if (text.empty()) return;
  if (GetLogFormat() == LogFormat::kText) {
    WriteAll(absl::StrCat(text, absl::EndsWith(text, "\n") ? "" : "\n"));
    return;
  }
  LogLine log;
  log.time = absl::Now();
  log.severity = std::string(SeverityName(severity));
  log.service = ServiceName();
  log.context = thread_context;
  absl::ConsumeSuffix(&text, "\n");
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    log.message = std::string(line);
    WriteAll(absl::StrCat(LogLineJson(log), "\n"));
  }
}

ScopedLogContext::ScopedLogContext(LogContext context)
    : outer_(thread_context) {
  if (!context.trial.empty()) thread_context.trial = std::move(context.trial);
  if (context.attempt != 0) thread_context.attempt = context.attempt;
  if (!context.request_id.empty()) {
    thread_context.request_id = std::move(context.request_id);
  }
}

ScopedLogContext::~ScopedLogContext() { thread_context = std::move(outer_); }

std::string LogLineJson(const LogLine& line) {
  Json json;
  json["ts"] =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", line.time, absl::UTCTimeZone());
  json["severity"] = line.severity;
  json["service"] = line.service;
  json["msg"] = line.message;
  if (!line.file.empty()) {
    json["file"] = line.file;
    json["line"] = line.line;
  }
  if (!line.context.trial.empty()) json["trial"] = line.context.trial;
  if (line.context.attempt != 0) json["attempt"] = line.context.attempt;
  if (!line.context.request_id.empty()) {
    json["request_id"] = line.context.request_id;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kodistil
