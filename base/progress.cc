#include "base/progress.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/table.h"

namespace kodistil {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(100);
constexpr char kClearLine[] = "\r\x1b[K";

// A line can be drawn over and over there.
bool StderrIsTerminal() {
  if (GetLogFormat() != LogFormat::kText) return false;
  const char* term = getenv("TERM");
  return isatty(STDERR_FILENO) && term != nullptr && strcmp(term, "dumb") != 0;
}

int TerminalWidth() {
  winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return 80;
  }
  return size.ws_col;
}

// One write, so that lines of several processes do not mix.
void Write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

ProgressLine::ProgressLine(absl::Duration plain_interval)
    : terminal_(StderrIsTerminal()), plain_interval_(plain_interval) {}

ProgressLine::~ProgressLine() {
  if (drawn_) Write("\n");
}

void ProgressLine::Update(absl::string_view text) {
  const absl::Time now = absl::Now();
  if (now - last_ < (terminal_ ? kRedrawInterval : plain_interval_)) return;
  last_ = now;
  if (!terminal_) {
    SayLine(text);
    return;
  }
  // The last column stays free: some terminals wrap as soon as it is filled.
  Write(absl::StrCat(kClearLine, CutToWidth(text, TerminalWidth() - 1)));
  drawn_ = true;
}

void ProgressLine::Finish(absl::string_view text) {
  Clear();
  SayLine(text);
  last_ = absl::InfinitePast();
}

void ProgressLine::Print(absl::string_view line) {
  if (terminal_) last_ = absl::InfinitePast();
  Clear();
  SayLine(line);
}

void ProgressLine::Clear() {
  if (drawn_) Write(kClearLine);
  drawn_ = false;
}

std::string ProgressText(int64_t done, int64_t total, absl::Duration elapsed) {
  std::string text =
      absl::StrCat(WithCommas(done), " of ", WithCommas(total), " (",
                   total > 0 ? done * 100 / total : 100, " %)");
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (done <= 0 || seconds <= 0) return text;
  const double rate = done / seconds;
  absl::StrAppend(&text, "  ",
                  rate < 10 ? absl::StrFormat("%.1f", rate)
                            : WithCommas(std::llround(rate)),
                  "/s");
  if (done < total) {
    absl::StrAppend(&text, "  ETA ",
                    ClockText(absl::Seconds((total - done) / rate)));
  }
  return text;
}

std::string WithCommas(int64_t value) {
  const std::string digits = absl::StrCat(value);
  const size_t sign = value < 0 ? 1 : 0;
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > sign && (digits.size() - i) % 3 == 0) text.push_back(',');
    text.push_back(digits[i]);
  }
  return text;
}

std::string ClockText(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) duration = absl::ZeroDuration();
  if (duration == absl::InfiniteDuration()) return "?";
  const int64_t seconds =
      absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  const int64_t minutes = seconds / 60;
  if (minutes < 60) return absl::StrFormat("%d:%02d", minutes, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", minutes / 60, minutes % 60,
                         seconds % 60);
}

std::string BytesText(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  static constexpr const char* kUnits[] = {"KB", "MB", "GB", "TB"};
  double value = bytes / 1000.0;
  int unit = 0;
  // What rounds to 1,000 belongs to the next unit.
  for (; value >= 999.5 && unit < 3; ++unit) value /= 1000;
  return absl::StrFormat(value < 99.95 ? "%.1f %s" : "%.0f %s", value,
                         kUnits[unit]);
}

}  // namespace kodistil
