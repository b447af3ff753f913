#include "logit_store/import_logits.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

constexpr size_t kPutRows = 4096;

struct ImportedRow {
  uint64_t index = 0;
  std::vector<float> logits;
  bool has_text = false;
  std::string text;
  std::string text_hash;  // 32 hexadecimal digits; empty when not given
  int64_t line = 0;       // from 1
};

absl::Status LineError(const std::string& path, int64_t line,
                       absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": line ", line, ": ", what));
}

absl::StatusOr<ImportedRow> ParseJsonLine(const std::string& path, int64_t line,
                                          absl::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(
      text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return LineError(path, line, "expected a JSON object");
  ImportedRow row;
  row.line = line;
  const auto index = json.find("index");
  if (index == json.end() || !index->is_number_unsigned()) {
    return LineError(path, line, "expected an \"index\" of 0 or more");
  }
  row.index = index->get<uint64_t>();
  const auto logits = json.find("logits");
  if (logits == json.end() || !logits->is_array()) {
    return LineError(path, line, "expected \"logits\", a list of numbers");
  }
  for (const nlohmann::json& logit : *logits) {
    if (!logit.is_number()) {
      return LineError(path, line,
                       absl::StrCat("expected a logit, found ", logit.dump()));
    }
    row.logits.push_back(logit.get<float>());
  }
  const auto text_field = json.find("text");
  if (text_field != json.end() && text_field->is_string()) {
    row.has_text = true;
    row.text = text_field->get<std::string>();
  }
  const auto hash = json.find("text_hash");
  if (hash != json.end() && hash->is_string()) {
    row.text_hash = hash->get<std::string>();
  }
  return row;
}

bool IsNumber(absl::string_view field) {
  float value;
  return absl::SimpleAtof(field, &value);
}

// Columns of one line; the last is the text when `with_text`.
absl::StatusOr<ImportedRow> ParseColumns(const std::string& path, int64_t line,
                                         std::vector<absl::string_view> columns,
                                         bool with_text) {
  ImportedRow row;
  row.line = line;
  if (!absl::SimpleAtoi(columns[0], &row.index)) {
    return LineError(path, line,
                     absl::StrCat("expected an index, found '",
                                  absl::CHexEscape(columns[0]), "'"));
  }
  if (with_text) {
    row.has_text = true;
    row.text = std::string(columns.back());
    columns.pop_back();
  }
  for (size_t i = 1; i < columns.size(); ++i) {
    float logit;
    if (!absl::SimpleAtof(columns[i], &logit)) {
      return LineError(
          path, line,
          absl::StrCat("expected a logit in column ", i + 1, ", found '",
                       absl::CHexEscape(columns[i]), "'"));
    }
    row.logits.push_back(logit);
  }
  return row;
}

absl::StatusOr<std::vector<ImportedRow>> ParseTsv(
    const std::string& path,
    const std::vector<std::pair<int64_t, absl::string_view>>& lines) {
  std::vector<std::vector<absl::string_view>> table;
  bool with_text = false;
  for (const auto& [number, line] : lines) {
    table.push_back(absl::StrSplit(line, '\t'));
    if (table.back().size() != table.front().size() ||
        table.back().size() < 3) {
      return LineError(
          path, number,
          absl::StrCat("expected ", std::max<size_t>(3, table.front().size()),
                       " columns separated by tabs, found ",
                       table.back().size()));
    }
    const bool header = table.size() == 1 && table[0][0] == "index";
    with_text |= !header && !IsNumber(table.back().back());
  }
  std::vector<ImportedRow> rows;
  for (size_t i = 0; i < table.size(); ++i) {
    if (i == 0 && table[i][0] == "index") continue;
    KODISTIL_ASSIGN_OR_RETURN(
        ImportedRow row,
        ParseColumns(path, lines[i].first, std::move(table[i]), with_text));
    rows.push_back(std::move(row));
  }
  return rows;
}

absl::StatusOr<std::vector<ImportedRow>> ParseFile(const std::string& path,
                                                   absl::string_view bytes) {
  std::vector<std::pair<int64_t, absl::string_view>> lines;
  int64_t number = 0;
  for (absl::string_view line : absl::StrSplit(bytes, '\n')) {
    ++number;
    line = absl::StripSuffix(line, "\r");
    if (!line.empty()) lines.emplace_back(number, line);
  }
  if (lines.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected rows of logits, found none"));
  }
  if (!absl::EndsWith(path, ".jsonl") && !absl::EndsWith(path, ".json")) {
    return ParseTsv(path, lines);
  }
  std::vector<ImportedRow> rows;
  for (const auto& [at, line] : lines) {
    KODISTIL_ASSIGN_OR_RETURN(ImportedRow row, ParseJsonLine(path, at, line));
    rows.push_back(std::move(row));
  }
  return rows;
}

// Every index once, as many classes everywhere, all finite. Sorts by index.
absl::Status CheckShape(const std::string& path, uint64_t row_count,
                        const std::string& dataset,
                        std::vector<ImportedRow>* rows) {
  if (rows->size() != row_count) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": found ", rows->size(), " rows, dataset ", dataset,
                     " has ", row_count));
  }
  const size_t classes = rows->front().logits.size();
  for (const ImportedRow& row : *rows) {
    if (row.logits.size() != classes || classes < 2) {
      return LineError(path, row.line,
                       absl::StrCat("expected ", std::max<size_t>(2, classes),
                                    " logits, found ", row.logits.size()));
    }
    for (const float logit : row.logits) {
      if (std::isfinite(logit)) continue;
      return LineError(path, row.line, "expected finite logits");
    }
  }
  std::sort(rows->begin(), rows->end(),
            [](const ImportedRow& a, const ImportedRow& b) {
              return a.index < b.index;
            });
  for (uint64_t i = 0; i < row_count; ++i) {
    const ImportedRow& row = (*rows)[i];
    if (row.index != i) {
      return LineError(path, row.line,
                       absl::StrCat("row ", row.index,
                                    row.index < i ? " comes twice"
                                                  : " is outside the dataset"));
    }
  }
  return absl::OkStatus();
}

// Compares an imported row with the registered one; its text's hash.
absl::StatusOr<std::string> CheckText(const std::string& path,
                                      const ImportedRow& row,
                                      const v1::DatasetRow& registered) {
  const std::string expected =
      TextHash(registered.text(), registered.second_text());
  const std::string hex = absl::BytesToHexString(expected);
  const std::string found =
      row.has_text
          ? absl::BytesToHexString(TextHash(row.text, registered.second_text()))
          : hex;
  for (const std::string& hash : {found, row.text_hash}) {
    if (hash.empty() || hash == hex) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": line ", row.line, ": row ", row.index,
                     ": the text hash is ", hash, ", the registered text has ",
                     hex, " (\"", registered.text(), "\")"));
  }
  return expected;
}

}  // namespace

absl::StatusOr<v1::LogitSetManifest> ImportLogits(
    const std::string& path, const std::string& dataset,
    const std::string& teacher_name, LogitStore* store) {
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  KODISTIL_ASSIGN_OR_RETURN(std::vector<ImportedRow> rows,
                            ParseFile(path, file.bytes()));
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeDatasetResponse described,
                            store->DescribeDataset(dataset));
  KODISTIL_RETURN_IF_ERROR(
      CheckShape(path, described.row_count(), dataset, &rows));
  std::vector<v1::LogitRow> to_put(rows.size());
  KODISTIL_RETURN_IF_ERROR(store->ScanDataset(
      dataset, 0, rows.size(), [&](const v1::DatasetRow& row) -> absl::Status {
        const ImportedRow& imported = rows[row.index()];
        v1::LogitRow& to = to_put[row.index()];
        KODISTIL_ASSIGN_OR_RETURN(*to.mutable_text_hash(),
                                  CheckText(path, imported, row));
        to.set_index(row.index());
        to.mutable_logits()->Add(imported.logits.begin(),
                                 imported.logits.end());
        return absl::OkStatus();
      }));
  v1::LogitSetManifest wanted;
  wanted.mutable_id()->set_teacher_fingerprint(Sha256Hex(file.bytes()));
  wanted.mutable_id()->set_dataset(dataset);
  wanted.set_teacher_name(teacher_name);
  wanted.set_dataset_fingerprint(described.dataset_fingerprint());
  wanted.set_row_count(described.row_count());
  wanted.set_num_classes(rows.front().logits.size());
  KODISTIL_ASSIGN_OR_RETURN(v1::LogitSetManifest manifest,
                            store->CreateSet(wanted));
  for (size_t at = 0; at < to_put.size(); at += kPutRows) {
    KODISTIL_RETURN_IF_ERROR(store->Put(
        manifest.id(), absl::MakeConstSpan(to_put).subspan(at, kPutRows)));
  }
  return manifest;
}

}  // namespace kodistil
