#include "teacher_service/check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::json;

// Longest neighbour for a network that does not tell its limit.
constexpr int64_t kDefaultMaxPositions = 512;

// An array of arrays of one length, of numbers. `columns` of 0 is set, another
// must be met. Appends to `values`.
template <typename T>
absl::Status ReadMatrix(const Json& rows, int64_t* num_rows, int64_t* columns,
                        std::vector<T>* values) {
  if (!rows.is_array() || rows.empty() ||
      (*num_rows > 0 && static_cast<int64_t>(rows.size()) != *num_rows)) {
    return absl::InvalidArgumentError(
        *num_rows > 0 ? absl::StrCat("not a list of ", *num_rows, " rows")
                      : "not a list of rows");
  }
  *num_rows = rows.size();
  for (size_t row = 0; row < rows.size(); ++row) {
    if (*columns == 0 && rows[row].is_array()) *columns = rows[row].size();
    if (!rows[row].is_array() || rows[row].empty() ||
        static_cast<int64_t>(rows[row].size()) != *columns) {
      return absl::InvalidArgumentError(absl::StrCat(
          "row ", row, " is not a list of ", *columns, " numbers"));
    }
    for (const Json& value : rows[row]) {
      const bool fits = std::is_integral<T>::value ? value.is_number_integer()
                                                   : value.is_number();
      if (!fits) {
        return absl::InvalidArgumentError(
            absl::StrCat("row ", row, " holds ", value.type_name(),
                         value.is_number() ? " with a fraction" : ""));
      }
      values->push_back(value.get<T>());
    }
  }
  return absl::OkStatus();
}

// Padding behind each row.
std::vector<int64_t> TrailingPadding(const TokenBatch& batch) {
  std::vector<int64_t> padding(batch.rows, 0);
  for (int64_t row = 0; row < batch.rows; ++row) {
    const int64_t end = (row + 1) * batch.columns;
    while (padding[row] < batch.columns &&
           batch.mask[end - 1 - padding[row]] == 0) {
      ++padding[row];
    }
  }
  return padding;
}

absl::Status ParseGradients(const Json& json, CheckCase* result) {
  const auto norms = json.find("grad_l2");
  if (norms == json.end()) return absl::OkStatus();
  const auto labels = json.find("labels");
  const auto loss = json.find("loss");
  if (!norms->is_object() || norms->empty() || labels == json.end() ||
      !labels->is_array() || loss == json.end() || !loss->is_number()) {
    return absl::InvalidArgumentError(
        "grad_l2, labels or loss is not an object, a list and a number");
  }
  result->loss = loss->get<double>();
  int64_t rows = 1;
  int64_t columns = result->batch.rows;
  KODISTIL_RETURN_IF_ERROR(Annotate(
      ReadMatrix(Json::array({*labels}), &rows, &columns, &result->labels),
      "labels"));
  for (const auto& [name, norm] : norms->items()) {
    if (!norm.is_number() && !norm.is_null()) {
      return absl::InvalidArgumentError(
          absl::StrCat("grad_l2 of ", name, " is ", norm.type_name()));
    }
    result->gradient_norms[name] = norm.is_null() ? -1 : norm.get<double>();
  }
  return absl::OkStatus();
}

absl::Status ParseCase(const Json& json, CheckCase* result) {
  if (!json.is_object()) return absl::InvalidArgumentError("not an object");
  const auto name = json.find("name");
  if (name != json.end() && name->is_string()) {
    result->name = name->get<std::string>();
  }
  TokenBatch& batch = result->batch;
  const auto read = [&](const char* field, bool required,
                        std::vector<int64_t>* values) -> absl::Status {
    const auto found = json.find(field);
    if (found != json.end()) {
      return Annotate(ReadMatrix(*found, &batch.rows, &batch.columns, values),
                      field);
    }
    return required ? absl::InvalidArgumentError(absl::StrCat("no ", field))
                    : absl::OkStatus();
  };
  KODISTIL_RETURN_IF_ERROR(read("input_ids", /*required=*/true, &batch.ids));
  KODISTIL_RETURN_IF_ERROR(read("attention_mask", false, &batch.mask));
  KODISTIL_RETURN_IF_ERROR(read("token_type_ids", false, &batch.type_ids));
  if (batch.mask.empty()) batch.mask.assign(batch.ids.size(), 1);
  if (batch.type_ids.empty()) batch.type_ids.assign(batch.ids.size(), 0);
  const auto logits = json.find("logits");
  if (logits == json.end()) return absl::InvalidArgumentError("no logits");
  int64_t classes = 0;
  KODISTIL_RETURN_IF_ERROR(Annotate(
      ReadMatrix(*logits, &batch.rows, &classes, &result->logits), "logits"));
  batch.trailing_padding = TrailingPadding(batch);
  return ParseGradients(json, result);
}

double Difference(absl::Span<const float> a, absl::Span<const float> b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
}

// A row without its padding.
TokenBatch RowOf(const TokenBatch& batch, int64_t row) {
  int64_t first = row * batch.columns;
  int64_t last = first + batch.columns;
  while (last - first > 1 && batch.mask[last - 1] == 0) --last;
  while (last - first > 1 && batch.mask[first] == 0) ++first;
  const auto cut = [&](const std::vector<int64_t>& values) {
    return std::vector<int64_t>(values.begin() + first, values.begin() + last);
  };
  TokenBatch result;
  result.rows = 1;
  result.columns = last - first;
  result.ids = cut(batch.ids);
  result.mask = cut(batch.mask);
  result.type_ids = cut(batch.type_ids);
  result.trailing_padding = {batch.trailing_padding[row]};
  return result;
}

// `row` padded to `columns`, and below it a row of that length: its tokens over
// and over.
TokenBatch WithNeighbour(const TokenBatch& row, int64_t columns) {
  TokenBatch result = row;
  result.rows = 2;
  result.columns = columns;
  result.ids.resize(columns, 0);
  result.mask.resize(columns, 0);
  result.type_ids.resize(columns, 0);
  result.trailing_padding.push_back(0);
  for (int64_t i = 0; i < columns; ++i) {
    result.ids.push_back(row.ids[i % row.columns]);
    result.mask.push_back(1);
    result.type_ids.push_back(row.type_ids[i % row.columns]);
  }
  return result;
}

absl::StatusOr<CaseDifference> CheckOne(const CheckCase& given,
                                        TokenNetwork* network) {
  const TokenNetworkInfo& info = network->info();
  const size_t classes = info.num_classes;
  if (given.logits.size() != given.batch.rows * classes) {
    return absl::InvalidArgumentError(
        absl::StrCat(given.logits.size() / given.batch.rows,
                     " logits a row, the model has ", classes));
  }
  CaseDifference result;
  result.name = given.name;
  result.rows = given.batch.rows;
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> logits,
                            network->Forward(given.batch));
  result.batch = Difference(given.logits, logits);
  const int64_t limit =
      info.max_positions > 0 ? info.max_positions : kDefaultMaxPositions;
  for (int64_t i = 0; i < given.batch.rows; ++i) {
    const absl::Span<const float> expected(given.logits.data() + i * classes,
                                           classes);
    const TokenBatch row = RowOf(given.batch, i);
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> alone,
                              network->Forward(row));
    result.alone = std::max(result.alone, Difference(expected, alone));
    const int64_t columns = std::min(4 * row.columns, limit);
    if (columns <= row.columns) continue;
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> pair,
                              network->Forward(WithNeighbour(row, columns)));
    result.neighbour = std::max(result.neighbour, Difference(expected, pair));
  }
  return result;
}

}  // namespace

double CaseDifference::largest() const {
  return std::max({batch, alone, neighbour});
}

absl::StatusOr<std::vector<CheckCase>> ParseCheckCases(
    absl::string_view json, const std::string& source) {
  const Json array = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (array.is_discarded()) {
    return absl::DataLossError(absl::StrCat(source, ": not JSON"));
  }
  if (!array.is_array() || array.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": expected a JSON array of one case or more"));
  }
  std::vector<CheckCase> cases(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    cases[i].name = absl::StrCat("case ", i);
    KODISTIL_RETURN_IF_ERROR(Annotate(ParseCase(array[i], &cases[i]),
                                      absl::StrCat(source, ": case ", i)));
  }
  return cases;
}

absl::StatusOr<CheckReport> CheckNetwork(const std::vector<CheckCase>& cases,
                                         TokenNetwork* network) {
  CheckReport report;
  for (const CheckCase& given : cases) {
    absl::StatusOr<CaseDifference> difference = CheckOne(given, network);
    if (!difference.ok()) return Annotate(difference.status(), given.name);
    report.rows += difference->rows;
    report.largest = std::max(report.largest, difference->largest());
    report.cases.push_back(*std::move(difference));
  }
  return report;
}

std::string FormatReport(const CheckReport& report, double tolerance) {
  size_t width = 4;
  for (const CaseDifference& one : report.cases) {
    width = std::max(width, one.name.size());
  }
  std::string text =
      absl::StrFormat("%-*s  %4s  %9s  %9s  %9s\n", width, "case", "rows",
                      "in batch", "alone", "neighbour");
  for (const CaseDifference& one : report.cases) {
    absl::StrAppendFormat(&text, "%-*s  %4d  %9.2e  %9.2e  %9.2e\n", width,
                          one.name, one.rows, one.batch, one.alone,
                          one.neighbour);
  }
  absl::StrAppendFormat(
      &text, "%d cases, %d rows, largest difference %.2e (tolerance %g): %s\n",
      report.cases.size(), report.rows, report.largest, tolerance,
      report.largest <= tolerance ? "OK" : "FAILED");
  return text;
}

}  // namespace kodistil
