#include "student_trainer/onednn_lstm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/hash.h"
#include "base/testing.h"
#include "student_trainer/bilstm.h"

namespace kodistil {
namespace {

std::vector<float> Random(size_t size, uint64_t seed) {
  Pcg32 random(seed);
  std::vector<float> values(size);
  for (float& value : values) value = random.Uniform() - 0.5;
  return values;
}

void ExpectNear(const std::vector<float>& found,
                const std::vector<float>& expected, const char* what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  double scale = 0, difference = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    scale = std::max<double>(scale, std::abs(expected[i]));
    difference = std::max<double>(difference, std::abs(found[i] - expected[i]));
  }
  EXPECT_GT(scale, 0) << what;
  EXPECT_LT(difference / scale, 1e-4) << what;
}

// Rows of one length need no padding: the same layer as ours.
TEST(OneDnnLstmTest, ComputesTheLayerThatOursDoes) {
  constexpr int kInput = 7, kHidden = 19, kRows = 6, kLength = 9;
  const BiLstm ours(kInput, kHidden, /*layers=*/1);
  const std::vector<float> weights = Random(ours.PlainSize(), 1);
  const std::vector<float> x = Random(kLength * kRows * kInput, 2);
  const std::vector<float> dends = Random(kRows * 2 * kHidden, 3);
  FloatBuffer packed, gradient;
  ours.Pack(weights.data(), packed.Resize(ours.PackedSize()));
  std::fill_n(gradient.Resize(ours.PackedSize()), ours.PackedSize(), 0.0f);
  PackedSteps steps;
  steps.Reset(std::vector<int64_t>(kLength, kRows));
  ThreadPair threads(1);
  BiLstm::State state;
  std::vector<float> ends(kRows * 2 * kHidden);
  ours.Forward(packed.data(), steps, x.data(), /*keep=*/true, &state,
               ends.data(), &threads);
  ours.Backward(packed.data(), steps, x.data(), dends.data(), &state,
                gradient.data(), &threads);
  std::vector<float> expected(ours.PlainSize());
  ours.Unpack(gradient.data(), expected.data());

  OneDnnLstm theirs(kInput, kHidden, kRows);
  theirs.SetWeights(weights);
  std::vector<float> found;
  for (int step = 0; step < 2; ++step) {
    theirs.Step(kLength, x, std::vector<int64_t>(kRows, kLength), dends,
                &found);
    ExpectNear(found, ends, "ends");
    ExpectNear(theirs.Gradient(), expected, "gradient");
  }
}

}  // namespace
}  // namespace kodistil
