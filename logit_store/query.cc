#include "logit_store/query.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/table.h"
#include "logit_store/import_logits.h"
#include "logit_store/store_rules.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;
using Set = v1::DescribeResponse::Set;

constexpr size_t kShortDigits = 12;
constexpr int kMaxRangesShown = 100;

std::string SetLine(const Set& set) {
  const v1::LogitSetManifest& manifest = set.manifest();
  return absl::StrCat(
      "--dataset=", manifest.id().dataset(), " --teacher=",
      manifest.id().teacher_fingerprint().substr(0, kShortDigits), "  (",
      manifest.teacher_name(), ", ", set.rows_present(), " of ",
      manifest.row_count(), " rows)");
}

bool Matches(const QueryOptions& options, const v1::LogitSetManifest& set) {
  if (!options.dataset.empty() && set.id().dataset() != options.dataset) {
    return false;
  }
  return options.teacher == set.teacher_name() ||
         absl::StartsWith(set.id().teacher_fingerprint(), options.teacher);
}

absl::StatusOr<std::vector<Set>> MatchingSets(const QueryOptions& options,
                                              const LogitStore& store) {
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeResponse described,
                            store.Describe());
  std::vector<Set> sets;
  std::string all;
  for (const Set& set : described.sets()) {
    absl::StrAppend(&all, "\n  ", SetLine(set));
    if (Matches(options, set.manifest())) sets.push_back(set);
  }
  if (!sets.empty()) return sets;
  if (all.empty()) {
    return absl::NotFoundError("the store holds no logits yet");
  }
  return absl::NotFoundError(
      absl::StrCat("no logits of dataset '", options.dataset, "' and teacher '",
                   options.teacher, "'; the store holds", all));
}

absl::StatusOr<Set> TheSet(const QueryOptions& options,
                           const LogitStore& store) {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<Set> sets,
                            MatchingSets(options, store));
  if (sets.size() == 1) return sets[0];
  std::string choices;
  for (const Set& set : sets) absl::StrAppend(&choices, "\n  ", SetLine(set));
  return absl::InvalidArgumentError(absl::StrCat(
      "the store holds several sets of logits; choose one of", choices));
}

std::string TimeText(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(unix_ms),
                          absl::UTCTimeZone());
}

Json DescribeJson(const v1::DescribeResponse& described) {
  Json json;
  json["format_version"] = described.format_version();
  json["datasets"] = Json::array();
  for (const v1::DescribeDatasetResponse& dataset : described.datasets()) {
    json["datasets"].push_back({{"name", dataset.dataset()},
                                {"fingerprint", dataset.dataset_fingerprint()},
                                {"rows", dataset.row_count()}});
  }
  json["sets"] = Json::array();
  for (const Set& set : described.sets()) {
    const v1::LogitSetManifest& manifest = set.manifest();
    json["sets"].push_back(
        {{"dataset", manifest.id().dataset()},
         {"dataset_fingerprint", manifest.dataset_fingerprint()},
         {"teacher_fingerprint", manifest.id().teacher_fingerprint()},
         {"teacher_name", manifest.teacher_name()},
         {"rows", manifest.row_count()},
         {"rows_present", set.rows_present()},
         {"num_classes", manifest.num_classes()},
         {"created", TimeText(manifest.created_unix_ms())},
         {"build", manifest.build()}});
  }
  return json;
}

// One row for each set, and one for each dataset without a set.
Table DescribeTable(const v1::DescribeResponse& described, size_t digits) {
  Table table({{"dataset"},
               {"fingerprint"},
               {"rows", true},
               {"teacher"},
               {"name"},
               {"labelled", true},
               {"classes", true},
               {"created (UTC)"}});
  for (const v1::DescribeDatasetResponse& dataset : described.datasets()) {
    const std::vector<std::string> start = {
        dataset.dataset(), dataset.dataset_fingerprint().substr(0, digits),
        absl::StrCat(dataset.row_count())};
    bool any = false;
    for (const Set& set : described.sets()) {
      const v1::LogitSetManifest& manifest = set.manifest();
      if (manifest.id().dataset() != dataset.dataset()) continue;
      any = true;
      std::vector<std::string> cells = start;
      cells.push_back(manifest.id().teacher_fingerprint().substr(0, digits));
      cells.push_back(manifest.teacher_name());
      cells.push_back(absl::StrCat(set.rows_present()));
      cells.push_back(absl::StrCat(manifest.num_classes()));
      cells.push_back(TimeText(manifest.created_unix_ms()));
      table.AddRow(cells);
    }
    if (any) continue;
    std::vector<std::string> cells = start;
    cells.resize(8);
    table.AddRow(cells);
  }
  return table;
}

absl::Status DescribeStore(const QueryOptions& options, const LogitStore& store,
                           std::ostream& out) {
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeResponse described,
                            store.Describe());
  if (options.output == "json") {
    out << DescribeJson(described).dump(2) << "\n";
  } else if (options.output == "csv") {
    out << DescribeTable(described, /*digits=*/64).ToCsv();
  } else {
    out << DescribeTable(described, kShortDigits).ToText();
  }
  return absl::OkStatus();
}

std::string RangeText(const v1::IndexRange& range) {
  return range.end() - range.begin() == 1
             ? absl::StrCat(range.begin())
             : absl::StrCat(range.begin(), "-", range.end() - 1);
}

// A line for each set: "none missing of 200000", or "3 missing of 200000: 1-2,
// 7".
absl::Status ShowMissing(const QueryOptions& options, const LogitStore& store,
                         std::ostream& out) {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<Set> sets,
                            MatchingSets(options, store));
  Json list = Json::array();
  for (const Set& set : sets) {
    const v1::LogitSetId& id = set.manifest().id();
    KODISTIL_ASSIGN_OR_RETURN(const v1::MissingResponse missing,
                              store.Missing(id));
    const uint64_t of = missing.count() + set.rows_present();
    if (options.output == "json") {
      Json ranges = Json::array();
      for (const v1::IndexRange& range : missing.ranges()) {
        ranges.push_back({range.begin(), range.end()});
      }
      list.push_back({{"dataset", id.dataset()},
                      {"teacher_fingerprint", id.teacher_fingerprint()},
                      {"rows", of},
                      {"missing", missing.count()},
                      {"ranges", ranges}});
      continue;
    }
    if (sets.size() > 1) {
      out << id.dataset() << " "
          << id.teacher_fingerprint().substr(0, kShortDigits) << ": ";
    }
    if (missing.count() == 0) {
      out << "none missing of " << of << "\n";
      continue;
    }
    out << missing.count() << " missing of " << of << ": ";
    for (int i = 0; i < missing.ranges_size(); ++i) {
      if (i == kMaxRangesShown) {
        out << ", ...";
        break;
      }
      out << (i > 0 ? ", " : "") << RangeText(missing.ranges(i));
    }
    out << "\n";
  }
  if (options.output == "json") out << list.dump(2) << "\n";
  return absl::OkStatus();
}

absl::Status VerifySets(const QueryOptions& options, const LogitStore& store,
                        std::ostream& out) {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<Set> sets,
                            MatchingSets(options, store));
  std::string damage;
  for (const Set& set : sets) {
    const v1::LogitSetId& id = set.manifest().id();
    KODISTIL_ASSIGN_OR_RETURN(const v1::VerifyResponse verified,
                              store.Verify(id));
    out << id.dataset() << " "
        << id.teacher_fingerprint().substr(0, kShortDigits) << ": "
        << verified.checked() << " records checked, "
        << verified.corrupt_count() << " corrupt\n";
    if (verified.corrupt_count() == 0) continue;
    absl::StrAppend(&damage, damage.empty() ? "" : "; ", SetText(id), ": ",
                    verified.corrupt_count(), " corrupt rows:");
    for (const uint64_t index : verified.corrupt()) {
      absl::StrAppend(&damage, " ", index);
    }
    if (verified.corrupt_count() > uint64_t(verified.corrupt_size())) {
      damage += " ...";
    }
  }
  return damage.empty() ? absl::OkStatus() : absl::DataLossError(damage);
}

// Gives the wanted rows of the set to `writer`; how many.
absl::StatusOr<int64_t> WriteRows(const QueryOptions& options, const Set& set,
                                  const LogitStore& store, RowWriter* writer) {
  std::vector<v1::IndexRange> ranges(1);
  ranges[0].set_end(UINT64_MAX);
  if (!options.index.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(ranges, ParseIndices(options.index));
  }
  const absl::Status enough = absl::CancelledError("the limit is reached");
  int64_t written = 0;
  for (const v1::IndexRange& range : ranges) {
    ScanOptions scan;
    scan.begin = range.begin();
    scan.end = range.end();
    scan.with_text = true;
    const absl::Status status = store.Scan(
        set.manifest().id(), scan,
        [&](const v1::LogitRow& logits, const v1::DatasetRow* text) {
          const QueryRow row = MakeQueryRow(logits, *text);
          if (!options.filter.Accepts(row)) return absl::OkStatus();
          writer->Add(row);
          return ++written == options.limit ? enough : absl::OkStatus();
        });
    if (status == enough) break;
    KODISTIL_RETURN_IF_ERROR(status);
  }
  writer->Finish();
  return written;
}

// Why an index that was asked for is not among the rows.
absl::Status NoRow(const QueryOptions& options, const Set& set,
                   const LogitStore& store) {
  const v1::LogitSetId& id = set.manifest().id();
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeDatasetResponse dataset,
                            store.DescribeDataset(id.dataset()));
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<v1::IndexRange> ranges,
                            ParseIndices(options.index));
  for (const v1::IndexRange& range : ranges) {
    if (range.begin() < dataset.row_count()) continue;
    return absl::NotFoundError(
        absl::StrCat("row ", range.begin(), " is outside dataset ",
                     id.dataset(), " of ", dataset.row_count(), " rows"));
  }
  return absl::NotFoundError(
      absl::StrCat("rows ", options.index, " of ", SetText(id),
                   ": none has logits that pass the filters"));
}

absl::Status ShowRows(const QueryOptions& options, const LogitStore& store,
                      std::ostream& out) {
  KODISTIL_ASSIGN_OR_RETURN(const Set set, TheSet(options, store));
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<RowWriter> writer,
      RowWriter::Create(options.output, set.manifest().num_classes(), &out));
  KODISTIL_ASSIGN_OR_RETURN(const int64_t written,
                            WriteRows(options, set, store, writer.get()));
  if (written > 0 || options.index.empty()) return absl::OkStatus();
  return NoRow(options, set, store);
}

absl::Status ExportRows(const QueryOptions& options, const LogitStore& store,
                        std::ostream& out) {
  KODISTIL_ASSIGN_OR_RETURN(const Set set, TheSet(options, store));
  const std::string& path = options.export_file;
  // Renamed at the end: nobody takes half a file for a whole one.
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  if (!file) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write ", partial));
  }
  const std::string form = absl::EndsWith(path, ".csv") ? "csv" : "jsonl";
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<RowWriter> writer,
      RowWriter::Create(form, set.manifest().num_classes(), &file));
  const absl::StatusOr<int64_t> written =
      WriteRows(options, set, store, writer.get());
  file.close();
  absl::Status status = written.status();
  if (status.ok() && (!file || std::rename(partial.c_str(), path.c_str()))) {
    status = absl::InternalError(absl::StrCat("cannot write ", path));
  }
  if (!status.ok()) {
    std::remove(partial.c_str());
    return status;
  }
  out << *written << " rows of " << set.manifest().id().dataset()
      << " written to " << path << "\n";
  return absl::OkStatus();
}

absl::Status ImportRows(const QueryOptions& options, LogitStore* store,
                        std::ostream& out) {
  std::string dataset = options.dataset;
  if (dataset.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeResponse described,
                              store->Describe());
    std::string choices;
    for (const v1::DescribeDatasetResponse& one : described.datasets()) {
      absl::StrAppend(&choices, "\n  --dataset=", one.dataset());
      dataset = one.dataset();
    }
    if (described.datasets_size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("the store holds ", described.datasets_size(),
                       " datasets; an import needs one", choices));
    }
  }
  KODISTIL_ASSIGN_OR_RETURN(
      const v1::LogitSetManifest manifest,
      ImportLogits(options.import_file, dataset, options.teacher_name, store));
  out << manifest.row_count() << " rows of " << dataset
      << " imported as teacher " << manifest.id().teacher_fingerprint() << " ("
      << manifest.teacher_name() << ")\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status QueryOptions::Validate() const {
  const int actions =
      describe + missing + verify + !export_file.empty() + !import_file.empty();
  if (actions > 1) {
    return absl::InvalidArgumentError(
        "expected one of --describe, --missing, --verify, --export and "
        "--import, found several");
  }
  if (output != "table" && output != "json" && output != "csv") {
    return absl::InvalidArgumentError(
        absl::StrCat("--output=", output, ": expected table, json or csv"));
  }
  if (!export_file.empty() && !absl::EndsWith(export_file, ".csv") &&
      !absl::EndsWith(export_file, ".jsonl")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--export=", export_file, ": expected a name in .csv or .jsonl"));
  }
  if (limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--limit=", limit, ": expected 0 or more"));
  }
  if (!index.empty()) {
    KODISTIL_RETURN_IF_ERROR(ParseIndices(index).status());
  }
  return filter.Validate();
}

bool QueryOptions::WantsRows() const {
  return !index.empty() || limit > 0 || filter.max_margin < 1 ||
         filter.min_entropy > 0 || filter.disagrees_with_label;
}

absl::Status RunQuery(const QueryOptions& options, LogitStore* store,
                      std::ostream* out) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  if (!options.import_file.empty()) return ImportRows(options, store, *out);
  if (!options.export_file.empty()) return ExportRows(options, *store, *out);
  if (options.missing) return ShowMissing(options, *store, *out);
  if (options.verify) return VerifySets(options, *store, *out);
  if (options.WantsRows() && !options.describe) {
    return ShowRows(options, *store, *out);
  }
  return DescribeStore(options, *store, *out);
}

absl::StatusOr<std::vector<v1::IndexRange>> ParseIndices(
    const std::string& text) {
  std::vector<v1::IndexRange> ranges;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    uint64_t first = 0;
    uint64_t last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends[0], &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || last < first ||
        last == UINT64_MAX) {
      return absl::InvalidArgumentError(
          absl::StrCat("--index=", text,
                       ": expected an index (42), a range (100-120) or a "
                       "list of them, found '",
                       part, "'"));
    }
    v1::IndexRange range;
    range.set_begin(first);
    range.set_end(last + 1);
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace kodistil
