// tanh and sigmoid by tables of cubic polynomials, for states that are rounded
// to 8 bits anyway: inference_steps.h in int8, and the page without a server.

#ifndef KODISTIL_STUDENT_TRAINER_ACTIVATION_TABLE_H_
#define KODISTIL_STUDENT_TRAINER_ACTIVATION_TABLE_H_

namespace kodistil {

// An odd function on x >= 0, constant above `most`: with k = round(x *
// per_unit) it is ((c[3][k] x + c[2][k]) x + c[1][k]) x + c[0][k]. Within 4e-5
// of the function, a hundredth of what the rounding of a state is at most.
struct ActivationTable {
  static constexpr int kTerms = 4;
  static constexpr int kSegments = 16;

  // tanh(x).
  static const ActivationTable& Tanh();
  // 1 / (1 + e^-x) - 1 / 2.
  static const ActivationTable& CentredSigmoid();

  alignas(64) float c[kTerms][kSegments];
  float per_unit = 0;
  float most = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_ACTIVATION_TABLE_H_
