#include "corpus/word_splitter.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Each word with its number of code points: "영화/2".
std::vector<std::string> Words(absl::string_view text,
                               const WordPieceOptions& options = {}) {
  std::vector<std::string> words;
  WordSplitter(options).ForEachWord(
      text, [&words](absl::string_view word, int code_points) {
        words.push_back(absl::StrCat(word, "/", code_points));
        return true;
      });
  return words;
}

TEST(WordSplitterTest, SplitsAtSpacesAndAroundPunctuation) {
  EXPECT_THAT(Words(" 영화 \t좋아요!!\n"),
              ElementsAre("영화/2", "좋아요/3", "!/1", "!/1"));
  EXPECT_THAT(Words("a\u3000b\u2028c"), ElementsAre("a/1", "b/1", "c/1"));
  EXPECT_THAT(Words(""), IsEmpty());
  EXPECT_THAT(Words(" \t\u200B"), IsEmpty());
}

TEST(WordSplitterTest, DroppedCharactersDoNotSplit) {
  EXPECT_THAT(Words(absl::string_view("영\u200B\x01화\0", 11)),
              ElementsAre("영화/2"));
}

TEST(WordSplitterTest, IdeographsAreWordsWhenAsked) {
  EXPECT_THAT(Words("영화漢字임"),
              ElementsAre("영화/2", "漢/1", "字/1", "임/1"));
  WordPieceOptions options;
  options.tokenize_chinese_chars = false;
  EXPECT_THAT(Words("영화漢字임", options), ElementsAre("영화漢字임/5"));
}

TEST(WordSplitterTest, LowerCasesWhenAsked) {
  EXPECT_THAT(Words("CAFÉ \u0130"), ElementsAre("café/4", "i\u0307/2"));
  WordPieceOptions options;
  options.lower_case = false;
  EXPECT_THAT(Words("CAFÉ", options), ElementsAre("CAFÉ/4"));
}

TEST(WordSplitterTest, OnlySlowModeComposesJamo) {
  const std::string jamo = "\u1112\u1161\u11AB";
  EXPECT_THAT(Words(jamo), ElementsAre(jamo + "/3"));
  WordPieceOptions options;
  options.slow = true;
  EXPECT_THAT(Words(jamo, options), ElementsAre("한/1"));
}

// U+037E decomposes to a semicolon, U+2260 to "=" and an overlay.
TEST(WordSplitterTest, StrippingAccentsComesBeforePunctuation) {
  WordPieceOptions options;
  options.strip_accents = true;
  EXPECT_THAT(Words("é\u037Ea\u2260b \u0130", options),
              ElementsAre("e/1", ";/1", "a/1", "=/1", "b/1", "i/1"));
}

TEST(WordSplitterTest, StopsWhenTheVisitorSaysSo) {
  int seen = 0;
  WordSplitter({}).ForEachWord(
      "a b, c", [&seen](absl::string_view, int) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace kodistil
