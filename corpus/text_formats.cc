#include "corpus/text_formats.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "corpus/csv.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr absl::string_view kNsmcHeader = "id\tdocument\tlabel";
constexpr absl::string_view kKdsMagic = "KODISTDS";
constexpr int kMaxLabel = 999;
constexpr size_t kMaxSkippedListed = 10;
constexpr int kSniffedLines = 100;

constexpr std::pair<FileFormat, absl::string_view> kFormatNames[] = {
    {FileFormat::kNsmc, "nsmc"},
    {FileFormat::kNaverShopping, "naver_shopping"},
    {FileFormat::kSteam, "steam"},
    {FileFormat::kCsv, "csv"},
    {FileFormat::kLines, "lines"},
    {FileFormat::kKds, "kds"},
};

// Steps through the lines of a file without their LF or CRLF.
class LineReader {
 public:
  explicit LineReader(absl::string_view bytes) : rest_(bytes) {
    if (absl::StartsWith(rest_, kByteOrderMark)) {
      rest_.remove_prefix(kByteOrderMark.size());
    }
  }

  bool Next(absl::string_view* line) {
    if (rest_.empty()) return false;
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    *line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
    ++number_;
    return true;
  }

  int64_t number() const { return number_; }  // of the last line, from 1

 private:
  absl::string_view rest_;
  int64_t number_ = 0;
};

// A field as a message shows it.
std::string Shown(absl::string_view field) {
  return absl::StrCat("'", absl::CHexEscape(field.substr(0, 20)),
                      field.size() > 20 ? "..." : "", "'");
}

// What is wrong with the bytes of a row; empty if nothing.
std::string BytesProblem(absl::string_view bytes) {
  const size_t nul = bytes.find('\0');
  if (nul != absl::string_view::npos) {
    return absl::StrCat("a NUL at byte ", nul + 1, " of the row");
  }
  const size_t good = WellFormedUtf8Prefix(bytes);
  if (good == bytes.size()) return "";
  return absl::StrCat(
      "byte ", good + 1, " of the row, 0x",
      absl::BytesToHexString(bytes.substr(good, 1)),
      ", is not valid UTF-8 (for CP949 or EUC-KR files: iconv -f cp949)");
}

std::string TextProblem(absl::string_view text) {
  if (IsBlank(text)) return "no text, expected a review";
  return TextLengthProblem(text, kMaxTextCharacters);
}

std::string ColumnsProblem(size_t found, size_t expected,
                           absl::string_view names) {
  return absl::StrCat(found, found == 1 ? " column" : " columns", ", expected ",
                      expected, " (", names, ")");
}

// Problem of a 0/1 label, or its value in *label.
std::string BinaryLabel(absl::string_view field, int* label) {
  if (field != "0" && field != "1") {
    return absl::StrCat(
        field.empty() ? "no label" : absl::StrCat("label ", Shown(field)),
        ", expected 0 or 1");
  }
  *label = field[0] - '0';
  return "";
}

// A row of columns between tabs: the problem, or its text and label in *row
// (no text for a row that the format leaves out).
std::string ParseNsmc(const std::vector<absl::string_view>& columns, Row* row) {
  if (columns.size() != 3) {
    return ColumnsProblem(columns.size(), 3, "id, document, label");
  }
  row->text = std::string(columns[1]);
  const std::string problem = TextProblem(columns[1]);
  return problem.empty() ? BinaryLabel(columns[2], &row->label) : problem;
}

std::string ParseSteam(const std::vector<absl::string_view>& columns,
                       Row* row) {
  if (columns.size() != 2) {
    return ColumnsProblem(columns.size(), 2, "label, text");
  }
  row->text = std::string(columns[1]);
  const std::string problem = TextProblem(columns[1]);
  return problem.empty() ? BinaryLabel(columns[0], &row->label) : problem;
}

std::string ParseNaverShopping(const std::vector<absl::string_view>& columns,
                               Row* row) {
  if (columns.size() != 2) {
    return ColumnsProblem(columns.size(), 2, "rating, text");
  }
  const absl::string_view rating = columns[0];
  if (rating.size() != 1 || rating[0] < '1' || rating[0] > '5') {
    return absl::StrCat(
        rating.empty() ? "no rating" : absl::StrCat("rating ", Shown(rating)),
        ", expected 1, 2, 3, 4 or 5");
  }
  if (rating == "3") return "";  // neither good nor bad: left out
  row->text = std::string(columns[1]);
  row->label = rating[0] > '3' ? 1 : 0;
  return TextProblem(columns[1]);
}

using ParseColumns = std::string (*)(const std::vector<absl::string_view>&,
                                     Row*);

absl::Status ReadTabSeparated(ParseColumns parse, LineReader* lines,
                              RowSink* sink) {
  absl::string_view line;
  while (lines->Next(&line)) {
    Row row;
    std::string problem = BytesProblem(line);
    if (problem.empty()) problem = parse(absl::StrSplit(line, '\t'), &row);
    if (!problem.empty()) {
      KODISTIL_RETURN_IF_ERROR(sink->Bad(lines->number(), problem));
    } else if (!row.text.empty()) {
      sink->Add(std::move(row), lines->number());
    }
  }
  return absl::OkStatus();
}

absl::Status ReadNsmc(absl::string_view bytes, const std::string& path,
                      RowSink* sink) {
  LineReader lines(bytes);
  absl::string_view header;
  if (lines.Next(&header) && header != kNsmcHeader) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ":1: expected the header id<TAB>document<TAB>label, found ",
        Shown(header)));
  }
  return ReadTabSeparated(ParseNsmc, &lines, sink);
}

absl::Status ReadLines(absl::string_view bytes, RowSink* sink) {
  LineReader lines(bytes);
  absl::string_view line;
  while (lines.Next(&line)) {
    std::string problem = BytesProblem(line);
    if (problem.empty()) problem = TextProblem(line);
    if (!problem.empty()) {
      KODISTIL_RETURN_IF_ERROR(sink->Bad(lines.number(), problem));
      continue;
    }
    Row row;
    row.text = std::string(line);
    sink->Add(std::move(row), lines.number());
  }
  return absl::OkStatus();
}

// Positions of the columns that matter; -1 for none.
struct CsvColumns {
  size_t count = 0;
  int document = -1;
  int label = -1;
  int idx = -1;
};

int PositionOf(const std::vector<std::string>& fields, absl::string_view name) {
  const auto it = std::find(fields.begin(), fields.end(), name);
  return it == fields.end() ? -1 : static_cast<int>(it - fields.begin());
}

CsvColumns ColumnsOf(const std::vector<std::string>& header) {
  return {header.size(), PositionOf(header, "document"),
          PositionOf(header, "label"), PositionOf(header, "idx")};
}

// The problem of a record, or its text and label in *row. `seen` holds the idx
// values so far.
std::string ParseCsvRecord(const CsvColumns& columns, const CsvRecord& record,
                           std::set<int64_t>* seen, Row* row) {
  if (!record.problem.empty()) return record.problem;
  if (record.fields.size() != columns.count) {
    return ColumnsProblem(record.fields.size(), columns.count,
                          "as in the header");
  }
  for (const std::string& field : record.fields) {
    const std::string problem = BytesProblem(field);
    if (!problem.empty()) return problem;
  }
  row->text = record.fields[columns.document];
  const std::string problem = TextProblem(row->text);
  if (!problem.empty()) return problem;
  const std::string& label = record.fields[columns.label];
  if (!absl::SimpleAtoi(label, &row->label) || row->label < 0 ||
      row->label > kMaxLabel) {
    return absl::StrCat(
        label.empty() ? "no label" : absl::StrCat("label ", Shown(label)),
        ", expected a class from 0 to ", kMaxLabel);
  }
  if (columns.idx < 0) return "";
  int64_t idx = 0;
  if (!absl::SimpleAtoi(record.fields[columns.idx], &idx) || idx < 0) {
    return absl::StrCat("idx ", Shown(record.fields[columns.idx]),
                        ", expected a number from 0");
  }
  if (!seen->insert(idx).second) {
    return absl::StrCat("idx ", idx, " a second time, expected it once");
  }
  return "";
}

absl::Status ReadCsv(absl::string_view bytes, const std::string& path,
                     RowSink* sink) {
  if (absl::StartsWith(bytes, kByteOrderMark)) {
    bytes.remove_prefix(kByteOrderMark.size());
  }
  CsvReader reader(bytes);
  CsvRecord record;
  CsvColumns columns;
  std::set<int64_t> seen;
  for (bool header = true;; header = false) {
    const absl::StatusOr<bool> more = reader.Next(&record);
    if (!more.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", more.status().message()));
    }
    if (!*more) return absl::OkStatus();
    if (header) {
      columns = ColumnsOf(record.fields);
      if (columns.document < 0 || columns.label < 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            path,
            ":1: expected a header with the columns document and label, "
            "found ",
            Shown(absl::StrJoin(record.fields, ","))));
      }
      continue;
    }
    Row row;
    const std::string problem = ParseCsvRecord(columns, record, &seen, &row);
    if (problem.empty()) {
      sink->Add(std::move(row), record.line);
    } else {
      KODISTIL_RETURN_IF_ERROR(sink->Bad(record.line, problem));
    }
  }
}

// "Digit, tab" in nearly every line tells Steam from Naver shopping by the
// digits that occur.
struct LineStatistics {
  int lines = 0;
  int with_tab = 0;
  int rated = 0;  // a digit, then a tab
  bool has_zero = false;
  bool has_two_to_five = false;
};

LineStatistics CountLines(absl::string_view bytes) {
  LineReader reader(bytes);
  LineStatistics statistics;
  absl::string_view line;
  while (statistics.lines < kSniffedLines && reader.Next(&line)) {
    ++statistics.lines;
    if (line.find('\t') == absl::string_view::npos) continue;
    ++statistics.with_tab;
    if (line.find('\t') != 1 || line[0] < '0' || line[0] > '9') continue;
    ++statistics.rated;
    statistics.has_zero |= line[0] == '0';
    statistics.has_two_to_five |= line[0] >= '2' && line[0] <= '5';
  }
  return statistics;
}

bool HasCsvHeader(absl::string_view bytes) {
  LineReader reader(bytes);
  absl::string_view line;
  if (!reader.Next(&line)) return false;
  CsvReader csv(line);
  CsvRecord record;
  const absl::StatusOr<bool> more = csv.Next(&record);
  if (!more.ok() || !*more) return false;
  const CsvColumns columns = ColumnsOf(record.fields);
  return columns.document >= 0 && columns.label >= 0;
}

}  // namespace

absl::string_view FormatName(FileFormat format) {
  for (const auto& [known, name] : kFormatNames) {
    if (known == format) return name;
  }
  return "";
}

absl::StatusOr<FileFormat> ParseFormat(absl::string_view name) {
  for (const auto& [format, known] : kFormatNames) {
    if (known == name) return format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown format '", name,
                   "', expected nsmc, naver_shopping, steam, csv, lines or "
                   "kds"));
}

absl::StatusOr<FileFormat> SniffFormat(absl::string_view bytes,
                                       const std::string& path) {
  if (absl::StartsWith(bytes, kKdsMagic)) return FileFormat::kKds;
  LineReader reader(bytes);
  absl::string_view line;
  if (reader.Next(&line) && line == kNsmcHeader) return FileFormat::kNsmc;
  if (HasCsvHeader(bytes)) return FileFormat::kCsv;
  const LineStatistics counts = CountLines(bytes);
  const bool rated = counts.lines > 0 && counts.rated * 10 >= counts.lines * 9;
  if (rated && counts.has_zero != counts.has_two_to_five) {
    return counts.has_zero ? FileFormat::kSteam : FileFormat::kNaverShopping;
  }
  if (rated || (counts.lines > 0 && counts.with_tab * 10 >= counts.lines * 9)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": the first lines do not tell the format; name it before the "
        "path, as in steam:",
        path, " (nsmc, naver_shopping, steam, csv, lines or kds)"));
  }
  return FileFormat::kLines;
}

void RowSink::BeginFile(const std::string& file, Split split) {
  files_.push_back(file);
  split_ = split;
}

void RowSink::Add(Row row, int64_t line) {
  if (split_ != Split::kNone) row.split = split_;
  rows_.push_back(std::move(row));
  origins_.push_back(
      {static_cast<uint32_t>(files_.size() - 1), static_cast<uint32_t>(line)});
}

absl::Status RowSink::Bad(int64_t line, const std::string& reason) {
  return BadAt(
      {static_cast<uint32_t>(files_.size() - 1), static_cast<uint32_t>(line)},
      reason);
}

absl::Status RowSink::BadAt(const Origin& origin, const std::string& reason) {
  const std::string& file = files_[origin.file];
  if (!skip_bad_rows_) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", origin.line, ": ", reason,
                     "; --skip_bad_rows drops such rows"));
  }
  ++report_.skipped;
  if (report_.first_skipped.size() < kMaxSkippedListed) {
    report_.first_skipped.push_back({file, origin.line, reason});
  }
  return absl::OkStatus();
}

absl::Status RowSink::DropLabelsAboveGap(int known_classes) {
  std::set<int> labels = {kNoLabel};
  for (const Row& row : rows_) labels.insert(row.label);
  int gap = known_classes;
  while (labels.count(gap) > 0) ++gap;
  if (*labels.rbegin() < gap) return absl::OkStatus();
  size_t kept = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].label > gap) {
      KODISTIL_RETURN_IF_ERROR(
          BadAt(origins_[i],
                absl::StrCat("label ", rows_[i].label, ", expected 0 to ",
                             gap - 1, " (no row has label ", gap, ")")));
      continue;
    }
    if (kept != i) {
      rows_[kept] = std::move(rows_[i]);
      origins_[kept] = origins_[i];
    }
    ++kept;
  }
  rows_.resize(kept);
  origins_.resize(kept);
  return absl::OkStatus();
}

absl::Status ReadTextRows(FileFormat format, absl::string_view bytes,
                          const std::string& path, RowSink* sink) {
  LineReader lines(bytes);
  switch (format) {
    case FileFormat::kNsmc:
      return ReadNsmc(bytes, path, sink);
    case FileFormat::kNaverShopping:
      return ReadTabSeparated(ParseNaverShopping, &lines, sink);
    case FileFormat::kSteam:
      return ReadTabSeparated(ParseSteam, &lines, sink);
    case FileFormat::kCsv:
      return ReadCsv(bytes, path, sink);
    case FileFormat::kLines:
      return ReadLines(bytes, sink);
    case FileFormat::kKds:
      break;
  }
  return absl::InternalError(
      absl::StrCat(path, ": the canonical file is not a text format"));
}

}  // namespace kodistil
