#include "serving/words.h"

#include <string>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Texts(const std::string& text, size_t most = 64) {
  std::vector<std::string> texts;
  for (const Word& word : SplitWords(text, most)) {
    texts.push_back(
        text.substr(word.begin_byte, word.end_byte - word.begin_byte));
  }
  return texts;
}

TEST(SplitWordsTest, SplitsAtWhiteSpaceOfAnyKind) {
  // U+3000 is an ideographic space, U+00A0 one that does not break.
  EXPECT_THAT(Texts(" 영화가　정말\t재미\xC2\xA0있다!\n"),
              ElementsAre("영화가", "정말", "재미", "있다!"));
  EXPECT_THAT(Texts(""), IsEmpty());
  EXPECT_THAT(Texts(" \n"), IsEmpty());
}

TEST(SplitWordsTest, OffsetsAreInCodePoints) {
  const std::vector<Word> words = SplitWords("가 \xF0\x9F\x98\x80나 b", 64);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_EQ(words[1].begin, 2);
  EXPECT_EQ(words[1].end, 4);
  EXPECT_EQ(words[2].begin, 5);
  EXPECT_EQ(words[2].end, 6);
}

TEST(SplitWordsTest, StopsAtTheLimit) {
  EXPECT_THAT(Texts("a b c d", 2), ElementsAre("a", "b"));
  EXPECT_THAT(Texts("a b", 2), ElementsAre("a", "b"));
}

TEST(LeaveOutTest, TakesOutOneWord) {
  const std::string text = "정말 재미 있다";
  const std::vector<Word> words = SplitWords(text, 64);
  EXPECT_EQ(LeaveOut(text, words[0]), " 재미 있다");
  EXPECT_EQ(LeaveOut(text, words[1]), "정말  있다");
  EXPECT_EQ(LeaveOut(text, words[2]), "정말 재미 ");
}

}  // namespace
}  // namespace kodistil
