// Progress for people: a line that redraws itself on a terminal, plain lines
// every few seconds elsewhere.

#ifndef KODISTIL_BASE_PROGRESS_H_
#define KODISTIL_BASE_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kodistil {

// Writes to stderr. Not thread-safe.
class ProgressLine {
 public:
  // `plain_interval`: how often a line is written where stderr is no terminal
  // (or TERM=dumb).
  explicit ProgressLine(absl::Duration plain_interval = absl::Seconds(5));
  ~ProgressLine();

  // Shows `text`: redraws at most ten times a second on a terminal, cut to its
  // width.
  void Update(absl::string_view text);
  // Shows `text` at once, whatever the interval, and ends the line.
  void Finish(absl::string_view text);
  // Prints a whole line above the progress line.
  void Print(absl::string_view line);

 private:
  void Clear();

  const bool terminal_;
  const absl::Duration plain_interval_;
  absl::Time last_ = absl::InfinitePast();
  bool drawn_ = false;
};

// "12,345 of 24,000 (51 %)  8,120/s  ETA 0:14"; rate and ETA only once known.
std::string ProgressText(int64_t done, int64_t total, absl::Duration elapsed);

// "1,234,567".
std::string WithCommas(int64_t value);
// "0:14", "12:03", "1:02:03".
std::string ClockText(absl::Duration duration);
// "548 KB", "1.2 MB" (powers of 1,000).
std::string BytesText(uint64_t bytes);

}  // namespace kodistil

#endif  // KODISTIL_BASE_PROGRESS_H_
