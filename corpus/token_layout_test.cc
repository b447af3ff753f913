#include "corpus/token_layout.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

struct Laid {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
};

Laid Single(const TokenLayout& layout, std::vector<int32_t> text,
            int max_length = 0) {
  Laid laid;
  laid.ids = std::move(text);
  layout.ApplySingle(max_length, &laid.ids, &laid.types);
  return laid;
}

Laid Both(const TokenLayout& layout, std::vector<int32_t> first,
          std::vector<int32_t> second, int max_length = 0) {
  Laid laid;
  laid.ids = layout.ApplyPair(std::move(first), std::move(second), max_length,
                              &laid.types);
  return laid;
}

TEST(TokenLayoutTest, EachFamilyHasItsOwn) {
  const TokenLayout bert = TokenLayout::Bert(/*cls=*/90, /*sep=*/91);
  EXPECT_THAT(Single(bert, {1, 2}).ids, ElementsAre(90, 1, 2, 91));
  EXPECT_THAT(Both(bert, {1}, {2}).ids, ElementsAre(90, 1, 91, 2, 91));
  EXPECT_THAT(Both(bert, {1}, {2}).types, ElementsAre(0, 0, 0, 1, 1));
  const TokenLayout roberta = TokenLayout::Roberta(/*cls=*/90, /*sep=*/91);
  EXPECT_THAT(Single(roberta, {1}).ids, ElementsAre(90, 1, 91));
  EXPECT_THAT(Both(roberta, {1}, {2}).ids, ElementsAre(90, 1, 91, 91, 2, 91));
  EXPECT_THAT(Both(roberta, {1}, {2}).types, ElementsAre(0, 0, 0, 0, 0, 0));
  const TokenLayout xlnet = TokenLayout::Xlnet(/*cls=*/90, /*sep=*/91);
  EXPECT_THAT(Single(xlnet, {1}).ids, ElementsAre(1, 91, 90));
  EXPECT_THAT(Single(xlnet, {1}).types, ElementsAre(0, 0, 2));
  EXPECT_THAT(Both(xlnet, {1}, {2}).ids, ElementsAre(1, 91, 2, 91, 90));
  EXPECT_THAT(Both(xlnet, {1}, {2}).types, ElementsAre(0, 0, 1, 1, 2));
  const TokenLayout t5 = TokenLayout::T5(/*eos=*/91);
  EXPECT_THAT(Single(t5, {1}).ids, ElementsAre(1, 91));
  EXPECT_THAT(Both(t5, {1}, {2}).ids, ElementsAre(1, 91, 2, 91));
  const TokenLayout plain = TokenLayout::Plain();
  EXPECT_THAT(Single(plain, {}).ids, IsEmpty());
  EXPECT_THAT(Both(plain, {1}, {2}).ids, ElementsAre(1, 2));
  EXPECT_THAT(Both(plain, {1}, {2}).types, ElementsAre(0, 1));
}

TEST(TokenLayoutTest, TextsAreCutAndSpecialTokensStay) {
  const TokenLayout bert = TokenLayout::Bert(/*cls=*/90, /*sep=*/91);
  EXPECT_EQ(bert.special_tokens(/*is_pair=*/false), 2);
  EXPECT_EQ(bert.special_tokens(/*is_pair=*/true), 3);
  EXPECT_THAT(Single(bert, {1, 2, 3}, 4).ids, ElementsAre(90, 1, 2, 91));
  EXPECT_THAT(Single(bert, {1, 2, 3}, 2).ids, ElementsAre(90, 91));
  EXPECT_THAT(Both(bert, {1, 2, 3, 4}, {5}, 6).ids,
              ElementsAre(90, 1, 2, 91, 5, 91));
  EXPECT_THAT(Both(bert, {1}, {2}, 3).ids, ElementsAre(90, 91, 91));
  EXPECT_THAT(Both(bert, {1}, {2}, 3).types, ElementsAre(0, 0, 1));
}

// Lengths that Hugging Face's truncate_encodings gives.
TEST(TokenLayoutTest, TheLongerTextIsCutFirst) {
  const auto keep = [](size_t first, size_t second, bool slow) {
    return KeepLongestFirst(first, second, /*budget=*/7, slow);
  };
  EXPECT_THAT(keep(3, 4, false), Pair(3, 4));
  EXPECT_THAT(keep(2, 9, false), Pair(2, 5));
  EXPECT_THAT(keep(9, 2, false), Pair(5, 2));
  EXPECT_THAT(keep(5, 9, false), Pair(3, 4));
  EXPECT_THAT(keep(9, 5, false), Pair(4, 3));
  EXPECT_THAT(keep(6, 6, false), Pair(3, 4));
  EXPECT_THAT(keep(5, 9, true), Pair(4, 3));
  EXPECT_THAT(keep(6, 6, true), Pair(4, 3));
}

TEST(TokenLayoutTest, ARepeatedTokenCanBeLeftOut) {
  TokenLayout t5 = TokenLayout::T5(/*eos=*/91);
  EXPECT_THAT(Single(t5, {1, 91}).ids, ElementsAre(1, 91, 91));
  t5.skip_repeated = true;
  EXPECT_THAT(Single(t5, {1, 91}).ids, ElementsAre(1, 91));
  EXPECT_THAT(Single(t5, {}).ids, ElementsAre(91));
  EXPECT_THAT(Both(t5, {91}, {2, 91}).ids, ElementsAre(91, 2, 91));
  EXPECT_THAT(Both(t5, {1}, {}).ids, ElementsAre(1, 91, 91));
}

}  // namespace
}  // namespace kodistil
