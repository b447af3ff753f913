#include "coordinator/paired_test.h"

#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

PairedCounts Counts(uint64_t both, uint64_t only_first, uint64_t only_second,
                    uint64_t neither) {
  return {both, only_first, only_second, neither};
}

// By hand: 2 (C(n,0) + ... + C(n,fewer)) / 2^n.
TEST(PairedTestTest, McNemarsTestIsExact) {
  EXPECT_DOUBLE_EQ(McNemarExact(0, 0), 1);
  EXPECT_DOUBLE_EQ(McNemarExact(1, 1), 1);  // 2 (1 + 2) / 4, at most 1
  EXPECT_NEAR(McNemarExact(0, 5), 2 * 1 / 32.0, 1e-15);
  EXPECT_NEAR(McNemarExact(5, 0), 2 * 1 / 32.0, 1e-15);
  EXPECT_NEAR(McNemarExact(2, 8), 2 * (1 + 10 + 45) / 1024.0, 1e-14);
  EXPECT_NEAR(McNemarExact(12, 2), 2 * (1 + 14 + 91) / 16384.0, 1e-14);
  EXPECT_NEAR(McNemarExact(5, 15),
              2 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 1048576.0, 1e-14);
}

// With integers of any size: sum(comb(2100, k) for k in range(1001)) * 2 /
// 2**2100.
TEST(PairedTestTest, McNemarsTestHoldsForThousandsOfRows) {
  EXPECT_NEAR(McNemarExact(1000, 1100), 0.030720707864242296, 1e-12);
  EXPECT_DOUBLE_EQ(McNemarExact(20000, 20000), 1);
  EXPECT_LT(McNemarExact(1000, 9000), 1e-300);
  EXPECT_GE(McNemarExact(0, 50000), 0);
}

// The examples of Newcombe's paper, table II, method 10.
TEST(PairedTestTest, IntervalsAreThoseOfThePaper) {
  const Interval some = DifferenceInterval(Counts(36, 12, 2, 0));
  EXPECT_NEAR(some.low, 0.0569, 5e-5);
  EXPECT_NEAR(some.high, 0.3404, 5e-5);
  const Interval none = DifferenceInterval(Counts(50, 0, 0, 0));
  EXPECT_NEAR(none.low, -none.high, 1e-15);
  EXPECT_NEAR(none.high, 0.0713, 5e-5);
}

TEST(PairedTestTest, TheOtherOrderGivesTheNegativeInterval) {
  const Interval one = DifferenceInterval(Counts(18, 6, 2, 9));
  const Interval other = DifferenceInterval(Counts(18, 2, 6, 9));
  EXPECT_NEAR(one.low, -other.high, 1e-15);
  EXPECT_NEAR(one.high, -other.low, 1e-15);
  EXPECT_EQ(DifferenceInterval(Counts(0, 0, 0, 0)).high, 0);
}

TEST(PairedTestTest, CountsAreThoseOfALoop) {
  Pcg32 random(7);
  for (const size_t rows : {0, 1, 63, 64, 65, 1000}) {
    Predictions first(rows), second(rows);
    PairedCounts expected;
    for (size_t i = 0; i < rows; ++i) {
      first[i] = random.Below(4) > 0;
      second[i] = random.Below(3) > 0;
      expected.both += first[i] && second[i];
      expected.only_first += first[i] && !second[i];
      expected.only_second += !first[i] && second[i];
      expected.neither += !first[i] && !second[i];
    }
    const PairedCounts counts =
        CountPaired(PredictionBits(first), PredictionBits(second));
    EXPECT_EQ(counts.both, expected.both);
    EXPECT_EQ(counts.only_first, expected.only_first);
    EXPECT_EQ(counts.only_second, expected.only_second);
    EXPECT_EQ(counts.neither, expected.neither);
    EXPECT_EQ(counts.rows(), rows);
  }
}

}  // namespace
}  // namespace kodistil
