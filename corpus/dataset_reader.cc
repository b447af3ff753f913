#include "corpus/dataset_reader.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/sample_generator.h"
#include "corpus/splits.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr size_t kMaxNameBytes = 100;
constexpr int64_t kMaxSampleRows = 10000000;

struct NamedFile {
  absl::string_view file;
  Split split;
};

// A published dataset: its files and where they come from.
struct NamedDataset {
  absl::string_view name;
  FileFormat format;
  std::vector<NamedFile> files;
  absl::string_view published;
};

const std::vector<NamedDataset>& NamedDatasets() {
  static const auto* const datasets = new std::vector<NamedDataset>{
      {"nsmc",
       FileFormat::kNsmc,
       {{"ratings_train.txt", Split::kTrain},
        {"ratings_test.txt", Split::kTest}},
       "https://github.com/e9t/nsmc"},
      {"naver_shopping",
       FileFormat::kNaverShopping,
       {{"naver_shopping.txt", Split::kNone}},
       "https://github.com/bab2min/corpus (sentiment)"},
      {"steam",
       FileFormat::kSteam,
       {{"steam.txt", Split::kNone}},
       "https://github.com/bab2min/corpus (sentiment)"},
  };
  return *datasets;
}

const NamedDataset* FindNamed(absl::string_view name) {
  for (const NamedDataset& dataset : NamedDatasets()) {
    if (dataset.name == name) return &dataset;
  }
  return nullptr;
}

std::string FilesOf(const NamedDataset& dataset) {
  return absl::StrJoin(dataset.files, " and ",
                       [](std::string* out, const NamedFile& file) {
                         absl::StrAppend(out, file.file);
                       });
}

// One file to read.
struct FilePart {
  std::string path;
  std::optional<FileFormat> format;  // sniffed when absent
  Split split = Split::kNone;
  std::string name;  // its share of the dataset's name
  std::string hint;  // for a missing file
};

absl::Status AddNamed(const NamedDataset& dataset,
                      const DatasetOptions& options,
                      std::vector<FilePart>* parts) {
  if (options.data_dir.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--dataset=", dataset.name, " needs --data_dir, the folder that holds ",
        FilesOf(dataset), ", published at ", dataset.published,
        "; `deploy/fetch_data.sh ", dataset.name, " DIR` downloads and checks ",
        dataset.files.size() == 1 ? "it" : "them"));
  }
  for (const NamedFile& file : dataset.files) {
    parts->push_back({JoinPath(options.data_dir, file.file), dataset.format,
                      file.split, std::string(dataset.name),
                      absl::StrCat("; ", dataset.name, " is published at ",
                                   dataset.published,
                                   ", deploy/fetch_data.sh downloads it")});
  }
  return absl::OkStatus();
}

bool IsWord(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

// Takes "prefix" and `separator` off the front of *text where the prefix is one
// word and *text is not itself a file.
absl::string_view TakePrefix(char separator, absl::string_view* text) {
  const size_t end = text->find(separator);
  if (end == absl::string_view::npos || !IsWord(text->substr(0, end)) ||
      FileExists(std::string(*text))) {
    return "";
  }
  const absl::string_view prefix = text->substr(0, end);
  text->remove_prefix(end + 1);
  return prefix;
}

std::string StemOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash != absl::string_view::npos) path.remove_prefix(slash + 1);
  const size_t dot = path.rfind('.');
  return std::string(dot == 0 ? path : path.substr(0, dot));
}

// "[format:][split=]path".
absl::Status AddFile(absl::string_view text, std::vector<FilePart>* parts) {
  const absl::string_view whole = text;
  FilePart part;
  const absl::string_view format = TakePrefix(':', &text);
  if (!format.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(part.format, ParseFormat(format));
  }
  const absl::string_view split = TakePrefix('=', &text);
  if (!split.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(part.split, ParseSplit(split));
  }
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--dataset part '", whole, "' names no file"));
  }
  if (IsWord(text) && !FileExists(std::string(text))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown dataset '", text,
        "', expected sample, nsmc, naver_shopping, steam, or a file"));
  }
  part.path = std::string(text);
  part.name = StemOf(text);
  parts->push_back(std::move(part));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<FilePart>> PartsOf(const DatasetOptions& options) {
  std::vector<FilePart> parts;
  for (const absl::string_view piece : absl::StrSplit(options.dataset, ',')) {
    const absl::string_view text = absl::StripAsciiWhitespace(piece);
    const NamedDataset* named = FindNamed(text);
    if (named != nullptr) {
      KODISTIL_RETURN_IF_ERROR(AddNamed(*named, options, &parts));
    } else if (text == "sample") {
      return absl::InvalidArgumentError(
          "--dataset=sample is generated and cannot be merged with files");
    } else {
      KODISTIL_RETURN_IF_ERROR(AddFile(text, &parts));
    }
  }
  return parts;
}

// What the files held.
struct Contents {
  std::vector<Row> rows;
  int num_classes = 2;
  // The name and "keep the splits" of a lone canonical file.
  std::string stored_name;
  bool lone_canonical_file = false;
};

absl::Status ReadCanonical(absl::string_view bytes, const std::string& path,
                           RowSink* sink, Contents* contents) {
  KODISTIL_ASSIGN_OR_RETURN(Dataset dataset, ParseDataset(bytes, path));
  contents->num_classes = std::max(contents->num_classes, dataset.num_classes);
  contents->stored_name = dataset.name;
  int64_t row_number = 0;
  for (Row& row : dataset.rows) sink->Add(std::move(row), ++row_number);
  return absl::OkStatus();
}

absl::Status ReadPart(const FilePart& part, RowSink* sink, Contents* contents) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(part.path);
  if (!file.ok()) {
    return absl::Status(file.status().code(),
                        absl::StrCat(file.status().message(), part.hint));
  }
  const size_t rows_before = sink->rows().size();
  sink->BeginFile(part.path, part.split);
  FileFormat format;
  if (part.format.has_value()) {
    format = *part.format;
  } else {
    KODISTIL_ASSIGN_OR_RETURN(format, SniffFormat(file->bytes(), part.path));
  }
  if (format == FileFormat::kKds) {
    contents->lone_canonical_file = part.split == Split::kNone;
    KODISTIL_RETURN_IF_ERROR(
        ReadCanonical(file->bytes(), part.path, sink, contents));
  } else {
    KODISTIL_RETURN_IF_ERROR(
        ReadTextRows(format, file->bytes(), part.path, sink));
  }
  if (sink->rows().size() == rows_before) {
    return absl::FailedPreconditionError(absl::StrCat(
        part.path, ": no rows, expected at least one (read as ",
        FormatName(format), ", ", file->bytes().size(), " bytes)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Contents> ReadParts(const std::vector<FilePart>& parts,
                                   bool skip_bad_rows, ReadReport* report) {
  RowSink sink(skip_bad_rows);
  Contents contents;
  for (const FilePart& part : parts) {
    KODISTIL_RETURN_IF_ERROR(ReadPart(part, &sink, &contents));
  }
  KODISTIL_RETURN_IF_ERROR(sink.DropLabelsAboveGap(contents.num_classes));
  if (sink.rows().size() > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the dataset has ", sink.rows().size(),
                     " rows, expected at most 2,147,483,647"));
  }
  contents.lone_canonical_file &= parts.size() == 1;
  if (report != nullptr) *report = sink.report();
  contents.rows = sink.TakeRows();
  for (const Row& row : contents.rows) {
    contents.num_classes = std::max(contents.num_classes, row.label + 1);
  }
  return contents;
}

// The parts' names joined, each once; a digest where that is too long.
std::string DerivedName(const std::vector<FilePart>& parts) {
  std::vector<std::string> names;
  for (const FilePart& part : parts) {
    if (std::find(names.begin(), names.end(), part.name) == names.end()) {
      names.push_back(part.name);
    }
  }
  const std::string name = absl::StrJoin(names, "+");
  if (name.size() <= kMaxNameBytes &&
      WellFormedUtf8Prefix(name) == name.size()) {
    return name;
  }
  return absl::StrCat("files-", Sha256Hex(name).substr(0, 12));
}

void Assign(const std::vector<uint32_t>& indices, Split split,
            std::vector<Row>* rows) {
  for (const uint32_t index : indices) (*rows)[index].split = split;
}

// Rows that may be tested: the labelled ones, or all where none is labelled.
std::vector<uint32_t> Candidates(const std::vector<Row>& rows) {
  std::vector<uint32_t> labelled;
  std::vector<uint32_t> all(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    all[i] = static_cast<uint32_t>(i);
    if (rows[i].label != kNoLabel) labelled.push_back(all[i]);
  }
  return labelled.empty() ? all : labelled;
}

std::vector<uint32_t> Pick(const std::vector<uint32_t>& from,
                           const std::vector<uint32_t>& positions) {
  std::vector<uint32_t> picked;
  picked.reserve(positions.size());
  for (const uint32_t position : positions) picked.push_back(from[position]);
  return picked;
}

void AssignRatio(const DatasetOptions& options, std::vector<Row>* rows) {
  for (Row& row : *rows) row.split = Split::kTrain;
  const std::vector<uint32_t> candidates = Candidates(*rows);
  const SplitIndices split = RatioSplit(
      candidates.size(), {options.test_fraction, options.valid_fraction},
      options.split_seed);
  Assign(Pick(candidates, split.valid), Split::kValid, rows);
  Assign(Pick(candidates, split.test), Split::kTest, rows);
}

absl::Status AssignSklearn(const DatasetOptions& options,
                           std::vector<Row>* rows) {
  KODISTIL_ASSIGN_OR_RETURN(
      const SplitIndices split,
      SklearnSplit(rows->size(),
                   {options.test_fraction, options.valid_fraction},
                   static_cast<uint32_t>(options.split_seed)));
  Assign(split.train, Split::kTrain, rows);
  Assign(split.valid, Split::kValid, rows);
  Assign(split.test, Split::kTest, rows);
  return absl::OkStatus();
}

bool HasSplit(const std::vector<Row>& rows, Split split) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const Row& row) { return row.split == split; });
}

bool IsOfficial(const std::vector<Row>& rows) {
  return !HasSplit(rows, Split::kNone) && HasSplit(rows, Split::kTest);
}

absl::Status AssignOfficial(const DatasetOptions& options,
                            std::vector<Row>* rows) {
  if (!IsOfficial(*rows)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--split_mode=official needs a split for every file of --dataset=",
        options.dataset,
        " and a test file, as in train=a.txt,test=b.txt; or use ratio"));
  }
  if (HasSplit(*rows, Split::kValid)) return absl::OkStatus();
  std::vector<uint32_t> train;
  for (const uint32_t index : Candidates(*rows)) {
    if ((*rows)[index].split == Split::kTrain) train.push_back(index);
  }
  const SplitIndices split = RatioSplit(
      train.size(), {/*test=*/0, options.valid_fraction}, options.split_seed);
  Assign(Pick(train, split.valid), Split::kValid, rows);
  return absl::OkStatus();
}

absl::Status AssignSplits(const DatasetOptions& options, bool keep,
                          std::vector<Row>* rows) {
  if (options.split_mode == "official") return AssignOfficial(options, rows);
  if (options.split_mode == "sklearn") return AssignSklearn(options, rows);
  if (options.split_mode == "auto") {
    if (keep && !HasSplit(*rows, Split::kNone)) return absl::OkStatus();
    if (IsOfficial(*rows)) return AssignOfficial(options, rows);
  }
  AssignRatio(options, rows);
  return absl::OkStatus();
}

absl::Status CheckFraction(absl::string_view name, double value) {
  if (value >= 0 && value < 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", value, ", expected from 0 to below 1"));
}

}  // namespace

absl::Status DatasetOptions::Validate() const {
  if (dataset.empty()) {
    return absl::InvalidArgumentError(
        "--dataset is empty, expected sample, nsmc, naver_shopping, steam, or "
        "files");
  }
  if (name.size() > kMaxNameBytes ||
      WellFormedUtf8Prefix(name) != name.size() ||
      std::any_of(name.begin(), name.end(), [](char c) {
        return absl::ascii_iscntrl(static_cast<unsigned char>(c));
      })) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the dataset's name is ", name.size(), " bytes, expected at most ",
        kMaxNameBytes, " of UTF-8 without control characters"));
  }
  if (split_mode != "auto" && split_mode != "official" &&
      split_mode != "ratio" && split_mode != "sklearn") {
    return absl::InvalidArgumentError(
        absl::StrCat("--split_mode is '", split_mode,
                     "', expected auto, official, ratio or sklearn"));
  }
  if (split_mode == "sklearn" &&
      split_seed > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--split_seed is ", split_seed,
                     ", expected at most 4294967295 for sklearn"));
  }
  KODISTIL_RETURN_IF_ERROR(CheckFraction("test_fraction", test_fraction));
  KODISTIL_RETURN_IF_ERROR(CheckFraction("valid_fraction", valid_fraction));
  if (sample_rows < 10 || sample_rows > kMaxSampleRows) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sample_rows is ", sample_rows, ", expected 10 to ", kMaxSampleRows));
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> ReadDataset(const DatasetOptions& options,
                                    ReadReport* report) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  if (report != nullptr) *report = ReadReport();
  Dataset dataset;
  bool keep_splits = false;
  if (options.dataset == "sample") {
    dataset = GenerateSample(options.sample_rows, options.sample_seed);
  } else {
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<FilePart> parts,
                              PartsOf(options));
    KODISTIL_ASSIGN_OR_RETURN(Contents contents,
                              ReadParts(parts, options.skip_bad_rows, report));
    keep_splits = contents.lone_canonical_file;
    dataset.name = keep_splits && !contents.stored_name.empty()
                       ? contents.stored_name
                       : DerivedName(parts);
    dataset.num_classes = contents.num_classes;
    dataset.rows = std::move(contents.rows);
  }
  if (!options.name.empty()) dataset.name = options.name;
  KODISTIL_RETURN_IF_ERROR(AssignSplits(options, keep_splits, &dataset.rows));
  return dataset;
}

std::string DescribeSkipped(const ReadReport& report) {
  if (report.skipped == 0) return "";
  std::string text = absl::StrCat(
      report.skipped, report.skipped == 1 ? " bad row" : " bad rows",
      " skipped:\n");
  for (const SkippedRow& row : report.first_skipped) {
    absl::StrAppend(&text, "  ", row.file, ":", row.line, ": ", row.reason,
                    "\n");
  }
  const int64_t more =
      report.skipped - static_cast<int64_t>(report.first_skipped.size());
  if (more > 0) absl::StrAppend(&text, "  and ", more, " more\n");
  return text;
}

}  // namespace kodistil
