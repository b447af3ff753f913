#include "corpus/splits.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// SHA-256 of the indices in order, each in decimal with a newline after it.
std::string DigestOf(const std::vector<uint32_t>& indices) {
  std::string text;
  for (const uint32_t index : indices) absl::StrAppend(&text, index, "\n");
  return Sha256Hex(text);
}

std::vector<uint32_t> AllOf(const SplitIndices& split) {
  std::vector<uint32_t> all = split.train;
  all.insert(all.end(), split.valid.begin(), split.valid.end());
  all.insert(all.end(), split.test.begin(), split.test.end());
  std::sort(all.begin(), all.end());
  return all;
}

TEST(SplitsTest, SklearnSplitOfTenRowsIsScikitLearns) {
  ASSERT_OK_AND_ASSIGN(const SplitIndices split,
                       SklearnSplit(10, SplitFractions(), 1));
  EXPECT_THAT(split.test, ElementsAre(2));
  EXPECT_THAT(split.valid, ElementsAre(5));
  EXPECT_EQ(std::vector<uint32_t>(split.train.begin(), split.train.begin() + 5),
            std::vector<uint32_t>({4, 7, 8, 6, 9}));
}

// Digests of what python3-sklearn 1.2.1 with NumPy 1.24.2 (Debian 12) gives for
//   train, test = train_test_split(list(range(n)), test_size=0.1,
//                                  random_state=1)
//   train, valid = train_test_split(train, test_size=0.05, random_state=1)
struct SklearnCase {
  uint32_t rows;
  const char* train;
  const char* valid;
  const char* test;
};

constexpr SklearnCase kSklearnCases[] = {
    {10, "6f89b73094249bebf7e9403531344f24b5d29c2e48b57415119864b25aca6110",
     "f0b5c2c2211c8d67ed15e75e656c7862d086e9245420892a7de62cd9ec582a06",
     "53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3"},
    {1000, "4b9a4a31163451ec03ee21bd7437341ed048304b1596078a51ec7626e5bb5cfd",
     "592a02afcb371c0cf397191168d2b7d27bfdb2a679af8340cdde487acf95b7da",
     "f0b2e61c8f08a6aab8959e2bd6c599731126dd4920280ace48a4693f7cc42fd7"},
    {49399, "229421c6aae21e258b2e121298c0a131631c6bfaecc9af0b5f18429bc0f72300",
     "eac9aab140bd6f88539992c2cabfd958048641e4d147ae8f6d30bbf20f52511d",
     "79b9196da565be01e6d25b23c92f9301c1e5c8fcecb73978951b700baf4b4718"},
    {494000, "4c52273dbd3b77731fe9e8179fde770e9585ecaffa401cd5e5527d9768e0d05e",
     "0eebb622ccd95b971507c3939d2dd98012713bc73e2cb93b6a2803f5b573e63f",
     "b8311b2a085e0b3d8a6a84fc47b0849e0dfbce50d9bc231e8006bf3c1b3777b0"},
};

TEST(SplitsTest, SklearnSplitHasScikitLearnsRowsInItsOrder) {
  for (const SklearnCase& expected : kSklearnCases) {
    SCOPED_TRACE(expected.rows);
    ASSERT_OK_AND_ASSIGN(const SplitIndices split,
                         SklearnSplit(expected.rows, SplitFractions(), 1));
    EXPECT_EQ(DigestOf(split.train), expected.train);
    EXPECT_EQ(DigestOf(split.valid), expected.valid);
    EXPECT_EQ(DigestOf(split.test), expected.test);
  }
}

TEST(SplitsTest, SklearnSplitDependsOnTheRandomState) {
  ASSERT_OK_AND_ASSIGN(const SplitIndices one,
                       SklearnSplit(1000, SplitFractions(), 1));
  ASSERT_OK_AND_ASSIGN(const SplitIndices two,
                       SklearnSplit(1000, SplitFractions(), 2));
  EXPECT_NE(one.test, two.test);
}

TEST(SplitsTest, SklearnSplitOfOneRowIsFailedPrecondition) {
  EXPECT_THAT(SklearnSplit(1, SplitFractions(), 1),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("no training rows")));
}

TEST(SplitsTest, RatioSplitPartsAreDisjointAndComplete) {
  for (const uint32_t rows : {0u, 1u, 2u, 10u, 24000u}) {
    const std::vector<uint32_t> all =
        AllOf(RatioSplit(rows, SplitFractions(), 1));
    ASSERT_EQ(all.size(), rows);
    for (uint32_t i = 0; i < rows; ++i) ASSERT_EQ(all[i], i);
  }
  const SplitIndices split = RatioSplit(24000, SplitFractions(), 1);
  EXPECT_EQ(split.test.size(), 2400u);
  EXPECT_EQ(split.valid.size(), 1080u);
}

TEST(SplitsTest, RatioSplitIsTheSameForever) {
  const SplitIndices split = RatioSplit(1000, SplitFractions(), 1);
  EXPECT_EQ(DigestOf(split.test),
            "89b7a5d5ca11e6d69736c4d54992880c96a297266348989506704ecd6c5b9d6f");
  EXPECT_EQ(DigestOf(split.valid),
            "edc8f905c70dc31fec560a5f827eeb1c3f26f851d7686399058bec0e26e65c23");
  EXPECT_NE(RatioSplit(1000, SplitFractions(), 2).test, split.test);
}

TEST(SplitsTest, RatioSplitOfZeroFractionsIsAllTrain) {
  const SplitIndices split =
      RatioSplit(10, SplitFractions{/*test=*/0, /*valid=*/0}, 1);
  EXPECT_EQ(split.train.size(), 10u);
}

}  // namespace
}  // namespace kodistil
