#include "teacher_service/finetune_rows.h"

#include <algorithm>
#include <set>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

FinetuneRow MakeRow(std::vector<int32_t> ids) {
  FinetuneRow row;
  row.ids = std::move(ids);
  return row;
}

// A row's text gives its ids: one for each byte.
FinetuneRow EncodeBytes(const Row& row) {
  return MakeRow({row.text.begin(), row.text.end()});
}

Dataset MakeDataset() {
  Dataset dataset;
  dataset.name = "made";
  dataset.rows = {{"a", "", 0, Split::kTrain},
                  {"bc", "", 1, Split::kTest},
                  {"d", "", 1, Split::kValid},
                  {"e", "", 0, Split::kNone}};
  return dataset;
}

TEST(FinetuneRowsTest, RowsGoToTheirSplits) {
  ASSERT_OK_AND_ASSIGN(const FinetuneRows rows,
                       EncodeDataset(MakeDataset(), EncodeBytes, 2, true));
  ASSERT_EQ(rows.train.size(), 2u);
  EXPECT_THAT(rows.train[1].ids, ElementsAre('e'));
  EXPECT_EQ(rows.valid.at(0).label, 1);
  EXPECT_THAT(rows.test.at(0).ids, ElementsAre('b', 'c'));
}

TEST(FinetuneRowsTest, LabelsOutsideTheClassesAreNamed) {
  Dataset dataset = MakeDataset();
  dataset.rows[2].label = 2;
  EXPECT_THAT(EncodeDataset(dataset, EncodeBytes, 2, true),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("made, row 2: label 2, expected 0 to 1")));
  dataset.rows[2].label = kNoLabel;
  EXPECT_THAT(EncodeDataset(dataset, EncodeBytes, 2, true),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("row 2: no label")));
  EXPECT_OK(EncodeDataset(dataset, EncodeBytes, 2, false));
}

TEST(FinetuneRowsTest, NoRowToTrainOnIsAnError) {
  Dataset dataset = MakeDataset();
  for (Row& row : dataset.rows) row.split = Split::kTest;
  EXPECT_THAT(EncodeDataset(dataset, EncodeBytes, 2, true),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("none of 4 rows is for training")));
}

TEST(EpochBatchesTest, EachRowOnceInAnOrderOfTheEpoch) {
  const auto first = EpochBatches(10, 4, 1, 0);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(first[2].size(), 2u);
  std::set<uint32_t> seen;
  for (const auto& batch : first) seen.insert(batch.begin(), batch.end());
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(first, EpochBatches(10, 4, 1, 0));
  EXPECT_NE(first, EpochBatches(10, 4, 1, 1));
  EXPECT_NE(first, EpochBatches(10, 4, 2, 0));
}

TEST(MakeTokenBatchTest, PadsToTheLongestRow) {
  const std::vector<FinetuneRow> rows = {MakeRow({5, 6, 7}), MakeRow({8})};
  const TokenBatch batch = MakeTokenBatch(rows, {1, 0}, /*pad_id=*/9);
  EXPECT_EQ(batch.rows, 2);
  EXPECT_EQ(batch.columns, 3);
  EXPECT_THAT(batch.ids, ElementsAre(8, 9, 9, 5, 6, 7));
  EXPECT_THAT(batch.mask, ElementsAre(1, 0, 0, 1, 1, 1));
}

class MaskTokensTest : public ::testing::Test {
 protected:
  MaskTokensTest() {
    // 2 and 3 are [CLS] and [SEP]; other pieces are 10 and above.
    for (int i = 0; i < 400; ++i) {
      FinetuneRow row = MakeRow({2});
      for (int j = 0; j < 1 + i % 20; ++j) row.ids.push_back(10 + j);
      row.ids.push_back(3);
      rows_.push_back(row);
      all_.push_back(i);
    }
    options_.mask_id = 4;
    options_.special_ids = {0, 2, 3, 4};
    options_.vocab_size = 1000;
  }

  std::vector<FinetuneRow> rows_;
  std::vector<uint32_t> all_;
  MaskingOptions options_;
};

TEST_F(MaskTokensTest, ChoosesTheRateAndReplacesMostByTheMask) {
  const TokenBatch before = MakeTokenBatch(rows_, all_, 0);
  TokenBatch after = before;
  const MaskedTokens masked = MaskTokens(options_, 1, 7, &after);
  int64_t tokens = 0, masks = 0, kept = 0, changed = 0;
  std::vector<int64_t> plain, original;  // without padding
  for (size_t i = 0; i < before.ids.size(); ++i) {
    if (before.mask[i] == 0) continue;
    tokens += before.ids[i] >= 10;
    plain.push_back(after.ids[i]);
    original.push_back(before.ids[i]);
    changed += after.ids[i] != before.ids[i];
  }
  ASSERT_EQ(masked.positions.size(),
            static_cast<size_t>(tokens * options_.rate + 0.5));
  EXPECT_TRUE(std::is_sorted(masked.positions.begin(), masked.positions.end()));
  for (size_t i = 0; i < masked.positions.size(); ++i) {
    const int64_t at = masked.positions[i];
    EXPECT_EQ(masked.targets[i], original[at]);
    EXPECT_GE(masked.targets[i], 10);
    masks += plain[at] == options_.mask_id;
    kept += plain[at] == original[at];
  }
  // Nothing else was touched.
  EXPECT_EQ(changed, static_cast<int64_t>(masked.positions.size()) - kept);
  EXPECT_NEAR(masks, 0.8 * masked.positions.size(),
              0.08 * masked.positions.size());
  EXPECT_NEAR(kept, 0.1 * masked.positions.size(),
              0.06 * masked.positions.size());
}

TEST_F(MaskTokensTest, TheStreamNamesTheMask) {
  TokenBatch first = MakeTokenBatch(rows_, all_, 0);
  TokenBatch same = first;
  TokenBatch other = first;
  MaskTokens(options_, 1, 7, &first);
  MaskTokens(options_, 1, 7, &same);
  MaskTokens(options_, 1, 8, &other);
  EXPECT_EQ(first.ids, same.ids);
  EXPECT_NE(first.ids, other.ids);
}

TEST_F(MaskTokensTest, RowsOfSpecialTokensHaveNoMask) {
  const std::vector<FinetuneRow> rows = {MakeRow({2, 3})};
  TokenBatch batch = MakeTokenBatch(rows, {0}, 0);
  EXPECT_THAT(MaskTokens(options_, 1, 1, &batch).positions, ElementsAre());
}

}  // namespace
}  // namespace kodistil
