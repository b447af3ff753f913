// The text formats of datasets: reading their rows, telling them apart, and
// what happens to bad rows.

#ifndef KODISTIL_CORPUS_TEXT_FORMATS_H_
#define KODISTIL_CORPUS_TEXT_FORMATS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/dataset.h"

namespace kodistil {

enum class FileFormat {
  kNsmc,           // id<TAB>document<TAB>label, with that header
  kNaverShopping,  // rating<TAB>text, ratings 1 to 5, 3 is left out
  kSteam,          // label<TAB>text
  kCsv,            // RFC 4180 with a header that has document and label
  kLines,          // a text a line, no labels
  kKds,            // the canonical file
};

// "nsmc", "naver_shopping", "steam", "csv", "lines", "kds".
absl::string_view FormatName(FileFormat format);
// INVALID_ARGUMENT naming the six for anything else.
absl::StatusOr<FileFormat> ParseFormat(absl::string_view name);

// The format of a file by its first lines. INVALID_ARGUMENT naming `path` when
// they fit two formats or look like columns of none.
absl::StatusOr<FileFormat> SniffFormat(absl::string_view bytes,
                                       const std::string& path);

struct SkippedRow {
  std::string file;
  int64_t line = 0;  // from 1
  std::string reason;
};

struct ReadReport {
  int64_t skipped = 0;
  std::vector<SkippedRow> first_skipped;  // at most ten
};

// Collects the good rows of one or more files, and refuses or counts the bad.
// Not thread-safe.
class RowSink {
 public:
  explicit RowSink(bool skip_bad_rows) : skip_bad_rows_(skip_bad_rows) {}

  // Rows that follow are of `file`; they get `split` unless it is kNone, when
  // they keep their own.
  void BeginFile(const std::string& file, Split split);
  void Add(Row row, int64_t line);
  // INVALID_ARGUMENT naming file and line, or OK when bad rows are skipped.
  absl::Status Bad(int64_t line, const std::string& reason);
  // Labels must be 0 to n - 1 with every class from `known_classes` (at least
  // 2) on present: a row with a label above a gap is bad. Call once, after all
  // files.
  absl::Status DropLabelsAboveGap(int known_classes);

  const std::vector<Row>& rows() const { return rows_; }
  std::vector<Row> TakeRows() { return std::move(rows_); }
  const ReadReport& report() const { return report_; }

 private:
  struct Origin {
    uint32_t file;
    uint32_t line;
  };

  absl::Status BadAt(const Origin& origin, const std::string& reason);

  const bool skip_bad_rows_;
  std::vector<std::string> files_;
  Split split_ = Split::kNone;
  std::vector<Row> rows_;
  std::vector<Origin> origins_;  // beside rows_
  ReadReport report_;
};

// Gives the rows of a text file (not kKds) to `sink`. INVALID_ARGUMENT naming
// `path`, the line, what was found and what was expected. A byte order mark and
// carriage returns at line ends are dropped.
absl::Status ReadTextRows(FileFormat format, absl::string_view bytes,
                          const std::string& path, RowSink* sink);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TEXT_FORMATS_H_
