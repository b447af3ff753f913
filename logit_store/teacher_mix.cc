#include "logit_store/teacher_mix.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

struct Term {
  std::optional<double> weight;
  std::string teacher;
};

absl::StatusOr<Term> ParseTerm(absl::string_view text) {
  Term term;
  const size_t star = text.find('*');
  if (star != absl::string_view::npos) {
    const absl::string_view number =
        absl::StripAsciiWhitespace(text.substr(0, star));
    double weight = 0;
    if (!absl::SimpleAtod(number, &weight) || !std::isfinite(weight) ||
        weight <= 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "found the weight '", number, "', expected a number above 0"));
    }
    term.weight = weight;
    text = text.substr(star + 1);
  }
  term.teacher = std::string(absl::StripAsciiWhitespace(text));
  if (term.teacher.empty() || absl::StrContains(term.teacher, "*")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "found '", term.teacher, "', expected a teacher's name without *"));
  }
  return term;
}

absl::StatusOr<TeacherMix> ParseTerms(absl::string_view text) {
  TeacherMix mix;
  std::set<std::string> seen;
  bool weighted = false;
  for (const absl::string_view part : absl::StrSplit(text, '+')) {
    KODISTIL_ASSIGN_OR_RETURN(const Term term, ParseTerm(part));
    if (mix.empty()) weighted = term.weight.has_value();
    if (weighted != term.weight.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", term.teacher, "' has ", weighted ? "no" : "a",
          " weight and the first teacher has ", weighted ? "one" : "none",
          ", expected weights for all or for none"));
    }
    if (!seen.insert(term.teacher).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("found '", term.teacher, "' twice, expected it once"));
    }
    mix.push_back({term.teacher, term.weight.value_or(1)});
  }
  return mix;
}

}  // namespace

absl::StatusOr<TeacherMix> ParseTeacherMix(absl::string_view text) {
  absl::StatusOr<TeacherMix> mix = ParseTerms(text);
  if (!mix.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("teacher '", text, "': ", mix.status().message(),
                     " (A, A+B or 0.7*A+0.3*B)"));
  }
  return mix;
}

std::string CanonicalTeacherMix(TeacherMix mix) {
  std::sort(mix.begin(), mix.end(),
            [](const WeightedTeacher& a, const WeightedTeacher& b) {
              return a.teacher < b.teacher;
            });
  if (mix.size() == 1) return mix[0].teacher;
  double sum = 0;
  for (const WeightedTeacher& member : mix) sum += member.weight;
  return absl::StrJoin(
      mix, "+", [sum](std::string* out, const WeightedTeacher& member) {
        absl::StrAppend(out, absl::StrFormat("%.9g", member.weight / sum), "*",
                        member.teacher);
      });
}

bool IsTeacherMix(absl::string_view text) {
  return absl::StrContains(text, "+");
}

std::vector<float> MeanLogits(
    absl::Span<const double> weights,
    absl::Span<const absl::Span<const float>> logits) {
  std::vector<float> mean(logits.front().size());
  for (size_t i = 0; i < mean.size(); ++i) {
    double sum = 0;
    for (size_t k = 0; k < logits.size(); ++k) sum += weights[k] * logits[k][i];
    mean[i] = static_cast<float>(sum);
  }
  return mean;
}

}  // namespace kodistil
