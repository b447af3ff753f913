#include "student_trainer/vector_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/testing.h"
#include "student_trainer/simd_testing.h"

namespace kodistil {
namespace {

// Every 997th float from -inf to inf, without NaNs, and some of interest.
std::vector<float> ManyFloats() {
  std::vector<float> values = {0.0f, -0.0f, 1e-45f, INFINITY, -INFINITY};
  for (uint32_t bits = 0; bits < 0x7f800000u; bits += 997) {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    values.push_back(value);
    values.push_back(-value);
  }
  return values;
}

TEST(VectorKernelsTest, SigmoidAndTanhAreWithinTheirStatedErrors) {
  const std::vector<float> x = ManyFloats();
  std::vector<float> sigmoid(x.size()), tanh(x.size());
  OnEveryInstructionSet([&](const std::string& target) {
    RunSigmoid(x.data(), x.size(), sigmoid.data());
    RunTanh(x.data(), x.size(), tanh.data());
    double sigmoid_error = 0, tanh_error = 0, relative_error = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::tanh(double{x[i]});
      const double error = std::abs(tanh[i] - exact);
      tanh_error = std::max(tanh_error, error);
      // Below this, float32's own spacing is larger.
      if (std::abs(x[i]) > 1e-30) {
        relative_error = std::max(relative_error, error / std::abs(exact));
      }
      sigmoid_error =
          std::max(sigmoid_error,
                   std::abs(sigmoid[i] - 1 / (1 + std::exp(-double{x[i]}))));
    }
    EXPECT_LT(tanh_error, 4e-7) << target;
    EXPECT_LT(relative_error, 1e-6) << target;
    EXPECT_LT(sigmoid_error, 2e-7) << target;
    EXPECT_GT(sigmoid_error, 0) << "nothing was measured";
  });
}

// kat_vectors of Random123, the authors' implementation.
TEST(VectorKernelsTest, PhiloxGivesTheAuthorsVectors) {
  OnEveryInstructionSet([](const std::string& target) {
    uint64_t word = 0;
    RunPhilox(0, 0, 0, 1, &word);
    EXPECT_EQ(word, 0x6cd10df2ff1dae59u) << target;
    RunPhilox(0xffffffffu, 0xffffffffu, 0xffffffffu, 1, &word);
    EXPECT_EQ(word, 0xab4fd7ad2c3f628bu) << target;
    RunPhilox(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 1, &word);
    EXPECT_EQ(word, 0xf62a4c12dd7ce038u) << target;
  });
}

TEST(VectorKernelsTest, DropoutDependsOnThePositionAlone) {
  DropoutStream stream;
  stream.key = 5;
  stream.step = 3;
  stream.rate = 0.3f;
  std::set<std::vector<float>> masks;
  OnEveryInstructionSet([&](const std::string& target) {
    std::vector<float> whole(1003, 1.0f), parts(1003, 1.0f);
    RunDropout(stream, 0, whole.size(), whole.data());
    RunDropout(stream, 0, 192, parts.data());
    RunDropout(stream, 192, parts.size() - 192, parts.data() + 192);
    EXPECT_EQ(whole, parts) << target;
    masks.insert(whole);
  });
  EXPECT_EQ(masks.size(), 1u) << "instruction sets differ";
  std::vector<float> other(1003, 1.0f);
  ++stream.step;
  RunDropout(stream, 0, other.size(), other.data());
  EXPECT_NE(other, *masks.begin());
}

TEST(VectorKernelsTest, DropoutKeepsTheMean) {
  DropoutStream stream;
  stream.key = 1;
  for (const float rate : {0.0f, 0.1f, 0.5f, 0.9f}) {
    stream.rate = rate;
    std::vector<float> values(100000, 1.0f);
    RunDropout(stream, 0, values.size(), values.data());
    double sum = 0;
    for (float value : values) sum += value;
    const double zeros = std::count(values.begin(), values.end(), 0.0f);
    // Five standard deviations.
    EXPECT_NEAR(zeros / values.size(), rate, 5 * 0.5 / std::sqrt(1e5));
    EXPECT_NEAR(sum / values.size(), 1, 5 * 3 / std::sqrt(1e5));
  }
}

TEST(VectorKernelsTest, RowScatterAddsRowsOfItsIds) {
  // More positions than are picked at a time, rows of an odd width.
  constexpr size_t kCount = 1300, kWidth = 19, kIds = 40;
  Pcg32 random(5);
  std::vector<int64_t> ids(kCount);
  for (int64_t& id : ids) id = random.Below(kIds);
  std::vector<float> rows(kCount * kWidth);
  for (float& value : rows) value = random.Uniform() - 0.5;
  std::vector<float> table(kIds * kWidth, 0.25f), expected = table;
  for (size_t n = 0; n < kCount; ++n) {
    if (ids[n] < 1 || ids[n] >= 23) continue;
    for (size_t i = 0; i < kWidth; ++i) {
      expected[ids[n] * kWidth + i] += rows[n * kWidth + i];
    }
  }
  RowScatter scatter;
  scatter.count = kCount;
  scatter.width = kWidth;
  scatter.rows = rows.data();
  scatter.ids = ids.data();
  scatter.first_id = 1;
  scatter.end_id = 23;
  scatter.table = table.data();
  RunRowScatter(scatter);
  EXPECT_EQ(table, expected);
}

TEST(VectorKernelsTest, AdamFollowsItsFormula) {
  constexpr int kSize = 37;
  OnEveryInstructionSet([](const std::string& target) {
    Pcg32 random(2);
    std::vector<float> p(kSize), g(kSize), m(kSize), v(kSize);
    for (int i = 0; i < kSize; ++i) {
      p[i] = random.Uniform();
      g[i] = random.Uniform() - 0.5;
      m[i] = random.Uniform() - 0.5;
      v[i] = random.Uniform();
    }
    std::vector<double> expected(kSize);
    for (int i = 0; i < kSize; ++i) {
      const double mean = 0.9 * m[i] + 0.1 * g[i];
      const double square = 0.999 * v[i] + 0.001 * g[i] * g[i];
      expected[i] =
          0.75 * p[i] - 0.01 * mean / (std::sqrt(square) / 0.5 + 1e-8);
    }
    AdamUpdate update;
    update.size = kSize;
    update.parameters = p.data();
    update.gradient = g.data();
    update.mean = m.data();
    update.square = v.data();
    update.step_size = 0.01f;
    update.root_correction = 0.5f;
    update.decay = 0.75f;
    RunAdamUpdate(update);
    for (int i = 0; i < kSize; ++i) {
      EXPECT_NEAR(p[i], expected[i], 1e-6) << target;
      EXPECT_EQ(g[i], 0);
    }
  });
}

}  // namespace
}  // namespace kodistil
