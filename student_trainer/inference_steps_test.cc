#include "student_trainer/inference_steps.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/testing.h"
#include "student_trainer/gate_matrix.h"
#include "student_trainer/simd_testing.h"

namespace kodistil {
namespace {

using ::testing::Contains;
using ::testing::Ne;

constexpr size_t kBlocks = 3;
constexpr size_t kDepth = 12;
constexpr float kScale = 0.25f;  // exact

// With VNNI too, where this processor has it and the instruction set uses it.
std::vector<bool> VnniChoices() {
  return HasVnni() ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

// One step's operands, of every value that they may have.
struct Operands {
  explicit Operands(size_t rows) : rows(rows), lanes(InferenceLanes()) {
    Pcg32 random(7);
    const size_t units = kBlocks * lanes;
    weights.Resize(kDepth * 4 * units);
    for (size_t i = 0; i < kDepth * 4 * units; ++i) {
      weights.data()[i] = static_cast<int8_t>(random.Below(255)) - 127;
    }
    scales.Resize(4 * units);
    std::fill_n(scales.data(), 4 * units, kScale);
    offsets.Resize(4 * units);
    for (size_t i = 0; i < 4 * units; ++i) {
      offsets.data()[i] = static_cast<int32_t>(random.Below(1000)) - 500;
    }
    x.Resize(rows * units + kDepth);
    for (size_t i = 0; i < rows * units; ++i) {
      x.data()[i] = static_cast<uint8_t>(random.Below(256));
    }
  }

  // gates[row][p][g][lane], by the definition.
  float Expected(size_t row, size_t p, size_t g, size_t lane) const {
    int64_t sum = 0;
    for (size_t k = 0; k < kDepth; ++k) {
      const size_t four = (p * kDepth / 4 + k / 4) * 4 + g;
      sum += int64_t{weights.data()[(four * lanes + lane) * 4 + k % 4]} *
             x.data()[row * kBlocks * lanes + k];
    }
    sum -= offsets.data()[(p * 4 + g) * lanes + lane];
    return kScale * static_cast<float>(sum);
  }

  const size_t rows;
  const size_t lanes;
  Aligned<int8_t> weights;
  Aligned<float> scales;
  Aligned<int32_t> offsets;
  Aligned<uint8_t> x;
};

// Rows that fill tiles, and all that may be left.
constexpr size_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 11};

TEST(InferenceStepsTest, Int8SumsAreExact) {
  OnEveryInstructionSet([](const std::string& target) {
    for (const size_t rows : kRows) {
      for (const bool vnni : VnniChoices()) {
        const Operands o(rows);
        Aligned<float> gates;
        gates.Resize(rows * kBlocks * 4 * o.lanes);
        Int8Sums sums;
        sums.rows = rows;
        sums.blocks = kBlocks;
        sums.depth = kDepth;
        sums.weights = o.weights.data();
        sums.scales = o.scales.data();
        sums.offsets = o.offsets.data();
        sums.x = o.x.data();
        sums.x_stride = kBlocks * o.lanes;
        sums.gates = gates.data();
        sums.vnni = vnni;
        RunInt8Sums(sums);
        const float* found = gates.data();
        for (size_t row = 0; row < rows; ++row) {
          for (size_t i = 0; i < kBlocks * 4 * o.lanes; ++i, ++found) {
            ASSERT_EQ(*found, o.Expected(row, i / o.lanes / 4, i / o.lanes % 4,
                                         i % o.lanes))
                << target << ", rows " << rows << ", vnni " << vnni;
          }
        }
      }
    }
  });
}

// A step's states, h and what the next step multiplies.
struct Stepped {
  std::vector<float> h;
  std::vector<uint8_t> rounded;
};

Stepped Step(const Operands& o, bool vnni) {
  const size_t units = kBlocks * o.lanes;
  Aligned<float> table, c, h;
  Aligned<uint8_t> rounded;
  table.Resize(o.rows * 4 * units);
  for (size_t i = 0; i < o.rows * 4 * units; ++i) {
    table.data()[i] = static_cast<float>(i % 7) - 3;
  }
  c.Resize(o.rows * units);
  h.Resize(o.rows * units);
  rounded.Resize(o.rows * units);
  std::vector<uint32_t> entries;
  for (uint32_t row = o.rows; row-- > 0;) entries.push_back(row);
  Aligned<float> scales;  // such that gates are of a network's size
  scales.Resize(4 * units);
  std::fill_n(scales.data(), 4 * units, 1e-5f);
  RecurrentStep step;
  step.rows = o.rows;
  step.blocks = kBlocks;
  step.table = table.data();
  step.entries = step.next_entries = entries.data();
  step.depth = kDepth;
  step.int8s = o.weights.data();
  step.scales = scales.data();
  step.offsets = o.offsets.data();
  step.rounded = o.x.data();
  step.next_rounded = rounded.data();
  step.c = c.data();
  step.h = h.data();
  step.vnni = vnni;
  RunStep(step);
  return {{h.data(), h.data() + o.rows * units},
          {rounded.data(), rounded.data() + o.rows * units}};
}

TEST(InferenceStepsTest, AStepIsTheSameWithVnni) {
  OnEveryInstructionSet([](const std::string& target) {
    for (const size_t rows : kRows) {
      const Operands o(rows);
      const Stepped plain = Step(o, /*vnni=*/false);
      // The control: states differ from each other and from nothing.
      EXPECT_NE(plain.h[0], plain.h[1]);
      EXPECT_THAT(plain.rounded, Contains(Ne(kStateZero)));
      for (const bool vnni : VnniChoices()) {
        const Stepped other = Step(o, vnni);
        EXPECT_EQ(plain.h, other.h) << target << ", rows " << rows;
        EXPECT_EQ(plain.rounded, other.rounded) << target << ", rows " << rows;
      }
    }
  });
}

}  // namespace
}  // namespace kodistil
