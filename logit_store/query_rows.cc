#include "logit_store/query_rows.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/table.h"
#include "corpus/dataset.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

// With float numbers, so that a logit is written in as few digits as give it
// back.
using Json = nlohmann::basic_json<nlohmann::ordered_map, std::vector,
                                  std::string, bool, int64_t, uint64_t, float>;

constexpr int kTextColumns = 60;
// Classes shown in a table; csv and json show all.
constexpr size_t kTableClasses = 8;

std::string SplitText(uint32_t split) {
  return split > static_cast<uint32_t>(Split::kTest)
             ? absl::StrCat(split)
             : std::string(SplitName(static_cast<Split>(split)));
}

std::string LabelText(int label) {
  return label == kNoLabel ? "" : absl::StrCat(label);
}

std::string Fixed(float value) { return absl::StrFormat("%.4f", value); }
std::string Exact(float value) { return Json(value).dump(); }

// For eyes: probabilities side by side, long texts cut.
class TextTableWriter final : public RowWriter {
 public:
  explicit TextTableWriter(std::ostream* out)
      : out_(*out),
        table_({{"index", true},
                {"split"},
                {"label", true},
                {"predicted", true},
                {"margin", true},
                {"logits"},
                {"probabilities"},
                {"text"}}) {}

  void Add(const QueryRow& row) override {
    std::string text = row.text.text();
    if (!row.text.second_text().empty()) {
      absl::StrAppend(&text, " | ", row.text.second_text());
    }
    const std::string cut = CutToWidth(text, kTextColumns);
    const std::vector<float> logits(row.logits.logits().begin(),
                                    row.logits.logits().end());
    table_.AddRow({absl::StrCat(row.logits.index()),
                   SplitText(row.text.split()), LabelText(row.text.label()),
                   absl::StrCat(row.predicted), Fixed(row.margin),
                   Numbers(logits), Numbers(row.probabilities),
                   cut == text ? text : absl::StrCat(cut, "...")});
  }

  void Finish() override { out_ << table_.ToText(); }

 private:
  static std::string Numbers(const std::vector<float>& values) {
    std::string text;
    for (size_t i = 0; i < values.size() && i < kTableClasses; ++i) {
      absl::StrAppend(&text, i > 0 ? " " : "", Fixed(values[i]));
    }
    return values.size() > kTableClasses ? text + " ..." : text;
  }

  std::ostream& out_;
  Table table_;
};

class CsvWriter final : public RowWriter {
 public:
  CsvWriter(uint32_t num_classes, std::ostream* out)
      : out_(*out), table_(Columns(num_classes)) {}

  void Add(const QueryRow& row) override {
    std::vector<std::string> cells = {absl::StrCat(row.logits.index()),
                                      SplitText(row.text.split()),
                                      LabelText(row.text.label()),
                                      absl::StrCat(row.predicted),
                                      Exact(row.margin),
                                      Exact(row.entropy)};
    for (const float logit : row.logits.logits()) cells.push_back(Exact(logit));
    for (const float p : row.probabilities) cells.push_back(Exact(p));
    cells.push_back(row.text.text());
    cells.push_back(row.text.second_text());
    table_.AddRow(std::move(cells));
  }

  void Finish() override { out_ << table_.ToCsv(); }

 private:
  static std::vector<Table::Column> Columns(uint32_t num_classes) {
    std::vector<Table::Column> columns = {{"index"},  {"split"},
                                          {"label"},  {"predicted"},
                                          {"margin"}, {"entropy"}};
    for (uint32_t i = 0; i < num_classes; ++i) {
      columns.push_back({absl::StrCat("logit_", i)});
    }
    for (uint32_t i = 0; i < num_classes; ++i) {
      columns.push_back({absl::StrCat("probability_", i)});
    }
    columns.push_back({"text"});
    columns.push_back({"second_text"});
    return columns;
  }

  std::ostream& out_;
  Table table_;
};

class JsonWriter final : public RowWriter {
 public:
  JsonWriter(bool lines, std::ostream* out) : lines_(lines), out_(*out) {}

  void Add(const QueryRow& row) override {
    Json object;
    object["index"] = row.logits.index();
    object["split"] = SplitText(row.text.split());
    object["label"] =
        row.text.label() == kNoLabel ? Json() : Json(row.text.label());
    object["predicted"] = row.predicted;
    object["margin"] = row.margin;
    object["entropy"] = row.entropy;
    object["logits"] = std::vector<float>(row.logits.logits().begin(),
                                          row.logits.logits().end());
    object["probabilities"] = row.probabilities;
    object["text"] = row.text.text();
    if (!row.text.second_text().empty()) {
      object["second_text"] = row.text.second_text();
    }
    object["text_hash"] = absl::BytesToHexString(row.logits.text_hash());
    if (!lines_) out_ << (first_ ? "[\n" : ",\n");
    first_ = false;
    out_ << object.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                        Json::error_handler_t::replace);
    if (lines_) out_ << "\n";
  }

  void Finish() override {
    if (!lines_) out_ << (first_ ? "[]\n" : "\n]\n");
  }

 private:
  const bool lines_;
  std::ostream& out_;
  bool first_ = true;
};

}  // namespace

QueryRow MakeQueryRow(const v1::LogitRow& logits, const v1::DatasetRow& text) {
  QueryRow row;
  row.logits = logits;
  row.text = text;
  const auto& values = logits.logits();
  const auto largest = std::max_element(values.begin(), values.end());
  if (largest == values.end()) return row;
  row.predicted = largest - values.begin();
  // Less the largest first: no overflow.
  double sum = 0;
  for (const float logit : values) sum += std::exp(double{logit} - *largest);
  std::vector<double> sorted;
  double entropy = 0;
  for (const float logit : values) {
    const double p = std::exp(double{logit} - *largest) / sum;
    row.probabilities.push_back(p);
    sorted.push_back(p);
    if (p > 0) entropy -= p * std::log(p);
  }
  std::sort(sorted.begin(), sorted.end(), std::greater<double>());
  row.margin = sorted[0] - (sorted.size() > 1 ? sorted[1] : 0);
  row.entropy = entropy;
  return row;
}

bool RowFilter::Accepts(const QueryRow& row) const {
  if (row.margin > max_margin || row.entropy < min_entropy) return false;
  return !disagrees_with_label ||
         (row.text.label() != kNoLabel && row.text.label() != row.predicted);
}

absl::Status RowFilter::Validate() const {
  if (!(max_margin >= 0 && max_margin <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max_margin=", max_margin, ": expected 0 to 1"));
  }
  if (min_entropy >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--min_entropy=", min_entropy, ": expected 0 or more"));
}

absl::StatusOr<std::unique_ptr<RowWriter>> RowWriter::Create(
    const std::string& form, uint32_t num_classes, std::ostream* out) {
  if (form == "table") return std::make_unique<TextTableWriter>(out);
  if (form == "csv") return std::make_unique<CsvWriter>(num_classes, out);
  if (form == "json" || form == "jsonl") {
    return std::make_unique<JsonWriter>(/*lines=*/form == "jsonl", out);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown form '", form, "': expected table, json, jsonl or csv"));
}

}  // namespace kodistil
