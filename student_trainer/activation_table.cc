#include "student_trainer/activation_table.h"

#include <cmath>

namespace kodistil {
namespace {

constexpr int kTerms = ActivationTable::kTerms;

// The polynomial that meets f where Chebyshev's of degree kTerms on [low, high]
// is zero: close to the best one. Newton's form, multiplied out.
template <class F>
void Fit(F f, double low, double high, double (&c)[kTerms]) {
  double x[kTerms], differences[kTerms];
  for (int i = 0; i < kTerms; ++i) {
    x[i] = (low + high) / 2 +
           (high - low) / 2 * std::cos(M_PI * (2 * i + 1) / (2 * kTerms));
    differences[i] = f(x[i]);
  }
  for (int level = 1; level < kTerms; ++level) {
    for (int i = kTerms - 1; i >= level; --i) {
      differences[i] =
          (differences[i] - differences[i - 1]) / (x[i] - x[i - level]);
    }
  }
  for (double& value : c) value = 0;
  for (int i = kTerms - 1; i >= 0; --i) {
    // c = c * (z - x[i]) + differences[i], as polynomials in z.
    for (int power = kTerms - 1; power >= 0; --power) {
      c[power] = (power > 0 ? c[power - 1] : 0) - c[power] * x[i];
    }
    c[0] += differences[i];
  }
}

// With some segments for a unit of x.
template <class F>
ActivationTable MakeTable(F f, double per_unit) {
  ActivationTable table;
  table.per_unit = static_cast<float>(per_unit);
  // A little less than where the last segment ends.
  table.most =
      static_cast<float>((ActivationTable::kSegments - 0.51) / per_unit);
  for (int k = 0; k < ActivationTable::kSegments; ++k) {
    double c[kTerms];
    Fit(f, k == 0 ? 0 : (k - 0.5) / per_unit, (k + 0.5) / per_unit, c);
    for (int i = 0; i < kTerms; ++i) table.c[i][k] = static_cast<float>(c[i]);
  }
  return table;
}

}  // namespace

const ActivationTable& ActivationTable::Tanh() {
  static const ActivationTable table =
      MakeTable([](double x) { return std::tanh(x); }, /*per_unit=*/2.5);
  return table;
}

const ActivationTable& ActivationTable::CentredSigmoid() {
  static const ActivationTable table = MakeTable(
      [](double x) { return std::tanh(x / 2) / 2; }, /*per_unit=*/1.25);
  return table;
}

}  // namespace kodistil
