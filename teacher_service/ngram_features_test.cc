#include "teacher_service/ngram_features.h"

#include <algorithm>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;

TEST(NgramFeaturesTest, CountsEachNgramOnce) {
  NgramShape shape;
  shape.max_n = 2;
  shape.mark_edges = false;
  std::vector<NgramCount> counts;
  CountNgrams(shape, "가나가나", "", &counts);
  // 가 x2, 나 x2, 가나 x2, 나가 x1.
  std::vector<uint32_t> values;
  for (const NgramCount& count : counts) values.push_back(count.count);
  std::sort(values.begin(), values.end());
  EXPECT_THAT(values, ElementsAre(1, 2, 2, 2));
}

TEST(NgramFeaturesTest, WhiteSpaceAndCaseDoNotMatter) {
  std::vector<NgramCount> a;
  std::vector<NgramCount> b;
  CountNgrams({}, "  OK\t 영화 ", "", &a);
  CountNgrams({}, "ok 영화", "", &b);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].hash, b[i].hash);
}

TEST(NgramFeaturesTest, SecondTextHasNgramsOfItsOwn) {
  std::vector<NgramCount> one;
  std::vector<NgramCount> pair;
  CountNgrams({}, "영화", "", &one);
  CountNgrams({}, "영화", "영화", &pair);
  EXPECT_EQ(pair.size(), 2 * one.size());
}

TEST(NgramFeaturesTest, BytesOutsideUtf8AreCharacters) {
  NgramShape shape;
  shape.max_n = 1;
  shape.mark_edges = false;
  std::vector<NgramCount> counts;
  CountNgrams(shape, "\xff\xed\x95\x41", "", &counts);
  EXPECT_EQ(counts.size(), 4u);
}

TEST(HashIndexTest, FindsEveryHashAndNoOther) {
  std::vector<uint64_t> hashes;
  for (uint64_t i = 0; i < 1000; ++i) hashes.push_back(i * 1024);
  const HashIndex index(hashes);
  for (uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(index.Find(i * 1024), i);
  EXPECT_EQ(index.Find(1), HashIndex::kAbsent);
  EXPECT_EQ(HashIndex().Find(0), HashIndex::kAbsent);
}

TEST(NgramShapeTest, BadShapesAreInvalid) {
  NgramShape shape;
  EXPECT_OK(shape.Validate());
  shape.min_n = 5;
  EXPECT_THAT(shape.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("n-grams of 5 to 4")));
}

}  // namespace
}  // namespace kodistil
