// Compares a network's loss and gradients with those computed elsewhere.

#ifndef KODISTIL_TEACHER_SERVICE_GRADIENT_CHECK_H_
#define KODISTIL_TEACHER_SERVICE_GRADIENT_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "teacher_service/check.h"
#include "teacher_service/transformer_network.h"

namespace kodistil {

// Of one case's loss, or of its gradient's norm by one parameter.
struct GradientDifference {
  std::string name;  // "loss", or the parameter's
  double expected = 0;
  double found = 0;
  // |found - expected| / (relative * |expected| + absolute): 1 is the limit.
  double share = 0;
};

struct GradientReport {
  std::string case_name;
  int64_t parameters = 0;  // compared
  double expected_loss = 0;
  double loss = 0;
  GradientDifference worst;
};

struct GradientTolerance {
  double relative = 1e-3;
  double absolute = 1e-5;
  double loss = 1e-4;  // absolute
};

// For each case that has gradients: runs its batch forward and backward without
// dropout. INVALID_ARGUMENT naming the case when the parameters differ from the
// case's, or a label is not one of the network's classes.
absl::StatusOr<std::vector<GradientReport>> CheckGradients(
    const std::vector<CheckCase>& cases, const GradientTolerance& tolerance,
    TransformerNetwork* network);

// A line a report; "" for none.
std::string FormatGradients(const std::vector<GradientReport>& reports);
// Whether every difference is within its limit.
bool GradientsPass(const std::vector<GradientReport>& reports);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_GRADIENT_CHECK_H_
