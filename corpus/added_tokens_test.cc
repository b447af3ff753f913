#include "corpus/added_tokens.h"

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

AddedToken Token(const std::string& content, int32_t id) {
  AddedToken token;
  token.content = content;
  token.id = id;
  return token;
}

// The parts of a text as "id:part", "-1:part" between tokens.
std::vector<std::string> Split(const AddedTokens& tokens,
                               absl::string_view text) {
  std::vector<std::string> parts;
  tokens.Split(text, [&parts](int32_t id, absl::string_view part) {
    parts.push_back(absl::StrCat(id, ":", part));
  });
  return parts;
}

TEST(AddedTokensTest, TheLeftmostAndLongestTokenIsFound) {
  const AddedTokens tokens(
      {Token("<s>", 1), Token("<sep>", 2), Token("<se", 3)});
  EXPECT_THAT(Split(tokens, "a<sep>b<s><se"),
              ElementsAre("-1:a", "2:<sep>", "-1:b", "1:<s>", "3:<se"));
  EXPECT_THAT(Split(tokens, "<<s>"), ElementsAre("-1:<", "1:<s>"));
  EXPECT_THAT(Split(tokens, "plain"), ElementsAre("-1:plain"));
  EXPECT_THAT(Split(tokens, ""), IsEmpty());
  EXPECT_THAT(Split(AddedTokens(), "<s>"), ElementsAre("-1:<s>"));
}

TEST(AddedTokensTest, OfTwoWithOneContentTheFirstCounts) {
  EXPECT_THAT(Split(AddedTokens({Token("a", 1), Token("a", 2)}), "a"),
              ElementsAre("1:a"));
}

TEST(AddedTokensTest, ASingleWordIsNoPartOfAWord) {
  AddedToken word = Token("가나", 5);
  word.single_word = true;
  const AddedTokens tokens({word});
  EXPECT_THAT(Split(tokens, "가나 가나다"),
              ElementsAre("5:가나", "-1: 가나다"));
  EXPECT_THAT(Split(tokens, "x가나"), ElementsAre("-1:x가나"));
  EXPECT_THAT(Split(tokens, "(가나)"), ElementsAre("-1:(", "5:가나", "-1:)"));
  EXPECT_THAT(Split(tokens, "가나_"), ElementsAre("-1:가나_"));
}

TEST(AddedTokensTest, TokensTakeTheSpaceBesideThem) {
  AddedToken left = Token("<m>", 5);
  left.lstrip = true;
  AddedToken right = Token("<n>", 6);
  right.rstrip = true;
  const AddedTokens tokens({left, right});
  EXPECT_THAT(Split(tokens, "a \u3000<m> b"),
              ElementsAre("-1:a", "5: \u3000<m>", "-1: b"));
  EXPECT_THAT(Split(tokens, " <n> \t b"),
              ElementsAre("-1: ", "6:<n> \t ", "-1:b"));
  // What one has taken is not taken again.
  EXPECT_THAT(Split(tokens, "<n> <m>"), ElementsAre("6:<n> ", "5:<m>"));
}

}  // namespace
}  // namespace kodistil
