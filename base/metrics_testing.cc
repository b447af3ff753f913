#include "base/metrics_testing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

struct Sample {
  std::string name;
  std::string labels;  // without le, as written
  std::string le;
  double value = 0;
};

std::string TakeName(absl::string_view* line) {
  size_t end = 0;
  while (end < line->size() && (absl::ascii_isalnum((*line)[end]) ||
                                (*line)[end] == '_' || (*line)[end] == ':')) {
    ++end;
  }
  const std::string name(line->substr(0, end));
  line->remove_prefix(end);
  return name.empty() || absl::ascii_isdigit(name[0]) ? "" : name;
}

// The text between two quotes, escapes left as they are.
absl::StatusOr<std::string> TakeQuoted(absl::string_view* line) {
  if (!absl::ConsumePrefix(line, "\"")) {
    return absl::InvalidArgumentError("expected a quote");
  }
  std::string quoted;
  while (!line->empty() && line->front() != '"') {
    if (line->front() == '\\') {
      if (line->size() < 2 || !absl::StrContains("\\\"n", line->substr(1, 1))) {
        return absl::InvalidArgumentError("unknown escape");
      }
      quoted += line->front();
      line->remove_prefix(1);
    }
    quoted += line->front();
    line->remove_prefix(1);
  }
  if (!absl::ConsumePrefix(line, "\"")) {
    return absl::InvalidArgumentError("no closing quote");
  }
  return quoted;
}

absl::Status TakeLabels(absl::string_view* line, Sample* sample) {
  std::map<std::string, std::string> seen;
  do {
    const std::string name = TakeName(line);
    if (name.empty() || !absl::ConsumePrefix(line, "=")) {
      return absl::InvalidArgumentError("expected label=");
    }
    KODISTIL_ASSIGN_OR_RETURN(const std::string value, TakeQuoted(line));
    if (!seen.emplace(name, value).second) {
      return absl::InvalidArgumentError(absl::StrCat(name, " comes twice"));
    }
    if (name == "le") {
      sample->le = value;
    } else {
      absl::StrAppend(&sample->labels, sample->labels.empty() ? "" : ",", name,
                      "=\"", value, "\"");
    }
  } while (absl::ConsumePrefix(line, ","));
  if (!absl::ConsumePrefix(line, "}")) {
    return absl::InvalidArgumentError("expected }");
  }
  return absl::OkStatus();
}

absl::StatusOr<double> ParseNumber(absl::string_view text) {
  if (text == "NaN") return std::nan("");
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  double value = 0;
  if (text.empty() || absl::ascii_isspace(text.front()) ||
      absl::ascii_isspace(text.back()) || !absl::SimpleAtod(text, &value) ||
      !std::isfinite(value)) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is no value"));
  }
  return value;
}

absl::StatusOr<Sample> ParseSample(absl::string_view line) {
  Sample sample;
  sample.name = TakeName(&line);
  if (sample.name.empty()) return absl::InvalidArgumentError("no name");
  if (absl::ConsumePrefix(&line, "{")) {
    KODISTIL_RETURN_IF_ERROR(TakeLabels(&line, &sample));
  }
  if (!absl::ConsumePrefix(&line, " ")) {
    return absl::InvalidArgumentError("expected one space before the value");
  }
  KODISTIL_ASSIGN_OR_RETURN(sample.value, ParseNumber(line));
  return sample;
}

class Parser {
 public:
  absl::Status AddLine(absl::string_view line) {
    if (absl::ConsumePrefix(&line, "# HELP ")) return AddHelp(line);
    if (absl::ConsumePrefix(&line, "# TYPE ")) return AddType(line);
    KODISTIL_ASSIGN_OR_RETURN(const Sample sample, ParseSample(line));
    if (type_.empty()) return absl::InvalidArgumentError("no TYPE before it");
    const std::string series(line.substr(0, line.rfind(' ')));
    if (!parsed_.samples.emplace(series, sample.value).second) {
      return absl::InvalidArgumentError("the series comes twice");
    }
    ++samples_;
    if (type_ == "histogram") return AddToHistogram(sample);
    if (sample.name != family_ || !sample.le.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("is not one of the family ", family_));
    }
    if (type_ == "counter" && !(sample.value >= 0)) {
      return absl::InvalidArgumentError("a counter below 0");
    }
    return absl::OkStatus();
  }

  absl::Status EndFamily() {
    if (!family_.empty() && samples_ == 0) {
      return absl::InvalidArgumentError(absl::StrCat(family_, " is empty"));
    }
    if (!buckets_.empty()) {
      return absl::InvalidArgumentError("a histogram without its count");
    }
    return absl::OkStatus();
  }

  ParsedMetrics parsed_;

 private:
  absl::Status AddHelp(absl::string_view line) {
    KODISTIL_RETURN_IF_ERROR(EndFamily());
    family_ = TakeName(&line);
    type_ = "";
    samples_ = 0;
    if (family_.empty() || !absl::ConsumePrefix(&line, " ") || line.empty()) {
      return absl::InvalidArgumentError("expected a name and a text");
    }
    const std::string plain =
        absl::StrReplaceAll(line, {{"\\\\", ""}, {"\\n", ""}});
    if (absl::StrContains(plain, "\\")) {
      return absl::InvalidArgumentError("unknown escape");
    }
    if (!parsed_.types.emplace(family_, "").second) {
      return absl::InvalidArgumentError("the family comes twice");
    }
    return absl::OkStatus();
  }

  absl::Status AddType(absl::string_view line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() != 2 || words[0] != family_ || !type_.empty() ||
        (words[1] != "counter" && words[1] != "gauge" &&
         words[1] != "histogram")) {
      return absl::InvalidArgumentError("expected the type of the HELP above");
    }
    if ((words[1] == "counter") != absl::EndsWith(family_, "_total")) {
      return absl::InvalidArgumentError("counters, and they alone, are _total");
    }
    type_ = parsed_.types[family_] = words[1];
    return absl::OkStatus();
  }

  // A histogram's lines: its buckets ascending, _sum, _count.
  absl::Status AddToHistogram(const Sample& sample) {
    if (!buckets_.empty() && buckets_.back().labels != sample.labels) {
      return absl::InvalidArgumentError("another series inside a histogram");
    }
    if (sample.name == family_ + "_bucket") {
      KODISTIL_ASSIGN_OR_RETURN(const double bound, ParseNumber(sample.le));
      if (std::isnan(bound) || has_sum_ ||
          (!buckets_.empty() &&
           (bound <= bound_ || sample.value < buckets_.back().value))) {
        return absl::InvalidArgumentError("not ascending and cumulative");
      }
      bound_ = bound;
      buckets_.push_back(sample);
      return absl::OkStatus();
    }
    if (buckets_.empty() || buckets_.back().le != "+Inf" ||
        !sample.le.empty()) {
      return absl::InvalidArgumentError("no bucket +Inf before it");
    }
    if (sample.name == family_ + "_sum" && !has_sum_) {
      has_sum_ = true;
      return absl::OkStatus();
    }
    if (sample.name != family_ + "_count" || !has_sum_ ||
        sample.value != buckets_.back().value) {
      return absl::InvalidArgumentError("expected a count equal to +Inf's");
    }
    buckets_.clear();
    has_sum_ = false;
    return absl::OkStatus();
  }

  std::string family_;
  std::string type_;
  int samples_ = 0;
  // Of the histogram that is being read.
  std::vector<Sample> buckets_;
  double bound_ = 0;
  bool has_sum_ = false;
};

}  // namespace

double ParsedMetrics::Value(const std::string& series) const {
  const auto it = samples.find(series);
  if (it != samples.end()) return it->second;
  ADD_FAILURE() << "no series " << series;
  return std::nan("");
}

double ParsedMetrics::Sum(absl::string_view name,
                          absl::string_view label) const {
  double sum = 0;
  for (const auto& [series, value] : samples) {
    const absl::string_view labels = absl::StripPrefix(series, name);
    const bool is_name = labels.size() + name.size() == series.size() &&
                         (labels.empty() || labels.front() == '{');
    if (is_name && absl::StrContains(labels, label)) sum += value;
  }
  return sum;
}

absl::StatusOr<ParsedMetrics> ParseMetrics(absl::string_view text) {
  if (text.empty()) return ParsedMetrics();
  if (!absl::ConsumeSuffix(&text, "\n")) {
    return absl::InvalidArgumentError("the last line has no end");
  }
  Parser parser;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const absl::Status added = parser.AddLine(line);
    if (!added.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " '", line, "': ", added.message()));
    }
  }
  KODISTIL_RETURN_IF_ERROR(parser.EndFamily());
  return std::move(parser.parsed_);
}

}  // namespace kodistil
