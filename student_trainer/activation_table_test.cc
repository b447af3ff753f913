#include "student_trainer/activation_table.h"

#include <algorithm>
#include <cmath>

#include "base/testing.h"

namespace kodistil {
namespace {

float Look(const ActivationTable& table, float x) {
  const float a = std::min(std::abs(x), table.most);
  const int k = static_cast<int>(std::lround(a * table.per_unit));
  EXPECT_LT(k, ActivationTable::kSegments);
  float y = 0;
  for (int i = ActivationTable::kTerms - 1; i >= 0; --i) {
    y = y * a + table.c[i][k];
  }
  return std::copysign(y, x);
}

// The largest difference from `f` on -30 to 30.
template <class F>
double LargestError(const ActivationTable& table, F f) {
  double largest = 0;
  for (int i = -30000; i <= 30000; ++i) {
    const float x = i / 1000.0f;
    largest = std::max(largest, std::abs(Look(table, x) - f(double{x})));
  }
  return largest;
}

double Tanh(double x) { return std::tanh(x); }

TEST(ActivationTableTest, TanhIsAHundredthOfTheRoundingAway) {
  EXPECT_LT(LargestError(ActivationTable::Tanh(), Tanh), 4e-5);
  // The control: another function is far away.
  EXPECT_GT(LargestError(ActivationTable::CentredSigmoid(), Tanh), 0.4);
}

TEST(ActivationTableTest, SigmoidIsAHundredthOfTheRoundingAway) {
  EXPECT_LT(LargestError(ActivationTable::CentredSigmoid(),
                         [](double x) { return 1 / (1 + std::exp(-x)) - 0.5; }),
            4e-5);
}

}  // namespace
}  // namespace kodistil
