#include "student_trainer/batch_sampler.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;

int LengthOf(uint32_t row) { return 2 + static_cast<int>(row * 37 % 23); }

std::vector<uint32_t> Rows(int count) {
  std::vector<uint32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 100);
  return rows;
}

std::vector<uint32_t> Flatten(const std::vector<std::vector<uint32_t>>& lists) {
  std::vector<uint32_t> all;
  for (const auto& list : lists)
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

TEST(BatchSamplerTest, EveryRowOnceInFullBatches) {
  const auto batches = TrainingBatches(Rows(1003), 10, 1, 1, LengthOf);
  EXPECT_EQ(batches.size(), 101u);
  EXPECT_EQ(std::count_if(batches.begin(), batches.end(),
                          [](const auto& batch) { return batch.size() == 3; }),
            1);
  std::vector<uint32_t> all = Flatten(batches);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, Rows(1003));
}

TEST(BatchSamplerTest, RowsOfABatchAreOfSimilarLength) {
  // 500 rows of 23 lengths in a chunk of 50 batches: a batch of 10 sorted rows
  // spans at most two or three lengths.
  for (const auto& batch : TrainingBatches(Rows(500), 10, 1, 1, LengthOf)) {
    for (uint32_t row : batch) {
      EXPECT_LE(std::abs(LengthOf(row) - LengthOf(batch[0])), 2);
    }
  }
}

TEST(BatchSamplerTest, OrderDependsOnSeedAndEpochAlone) {
  const auto first = TrainingBatches(Rows(300), 10, 1, 1, LengthOf);
  EXPECT_EQ(first, TrainingBatches(Rows(300), 10, 1, 1, LengthOf));
  EXPECT_NE(first, TrainingBatches(Rows(300), 10, 1, 2, LengthOf));
  EXPECT_NE(first, TrainingBatches(Rows(300), 10, 2, 1, LengthOf));
}

TEST(BatchSamplerTest, BatchesAreNotInOrderOfLength) {
  const auto batches = TrainingBatches(Rows(500), 10, 1, 1, LengthOf);
  EXPECT_FALSE(std::is_sorted(batches.begin(), batches.end(),
                              [](const auto& a, const auto& b) {
                                return LengthOf(a[0]) > LengthOf(b[0]);
                              }));
}

TEST(BatchSamplerTest, EvaluationIsSortedByLength) {
  const std::vector<uint32_t> all =
      Flatten(EvaluationBatches(Rows(95), 10, LengthOf));
  EXPECT_EQ(all.size(), 95u);
  EXPECT_TRUE(std::is_sorted(
      all.begin(), all.end(),
      [](uint32_t a, uint32_t b) { return LengthOf(a) > LengthOf(b); }));
}

TEST(BatchSamplerTest, PackedLayoutIsTimeMajorWithoutPadding) {
  const std::vector<std::vector<uint16_t>> rows = {
      {1, 2}, {3, 4, 5, 6}, {7}, {8, 9}};
  PackedBatch batch;
  // Filled twice: nothing of the first use may stay.
  for (int i = 0; i < 2; ++i) {
    PackBatch(
        {0, 1, 2, 3},
        [&](uint32_t row) { return absl::Span<const uint16_t>(rows[row]); },
        &batch);
  }
  EXPECT_THAT(batch.rows, ElementsAre(1, 0, 3, 2));
  EXPECT_THAT(batch.lengths, ElementsAre(4, 2, 2, 1));
  EXPECT_THAT(batch.batch_sizes, ElementsAre(4, 3, 1, 1));
  EXPECT_THAT(batch.tokens, ElementsAre(3, 1, 8, 7, 4, 2, 9, 5, 6));
}

}  // namespace
}  // namespace kodistil
