// Weighted means of teachers: how they are written, and how their logits are
// mixed.

#ifndef KODISTIL_LOGIT_STORE_TEACHER_MIX_H_
#define KODISTIL_LOGIT_STORE_TEACHER_MIX_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kodistil {

struct WeightedTeacher {
  std::string teacher;  // a name, or a fingerprint
  double weight = 1;
};
using TeacherMix = std::vector<WeightedTeacher>;

// Parses "A", "A+B" (equal weights) or "0.7*A+0.3*B". Weights are above 0 and
// given to all or none; they need not add up to 1. INVALID_ARGUMENT names what
// was found where.
absl::StatusOr<TeacherMix> ParseTeacherMix(absl::string_view text);

// The one way to write a mix: weights that add up to 1, with nine digits, in
// the order of the teachers; a teacher alone is its name. Mixes that mean the
// same have the same text, and ParseTeacherMix reads it.
std::string CanonicalTeacherMix(TeacherMix mix);

// Whether `text` names more than one teacher.
bool IsTeacherMix(absl::string_view text);

// The weighted mean of each logit, in the order of `logits`, which all have the
// same length: sums in double, rounded once. The softmax of the result at any
// temperature is the geometric mean of the teachers' softmaxes, normalised.
std::vector<float> MeanLogits(absl::Span<const double> weights,
                              absl::Span<const absl::Span<const float>> logits);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_TEACHER_MIX_H_
