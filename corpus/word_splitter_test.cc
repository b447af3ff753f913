#include "corpus/word_splitter.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/testing.h"
#include "corpus/unicode.h"

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

// The steps one after another, on whole texts: dropped and lower-cased, then
// spaces around punctuation and ideographs, then cut at spaces.
std::vector<std::string> PlainWords(const std::u32string& text) {
  const CharTable& table = CharTable::Get(UnicodeRules::kFast);
  std::u32string spaced;
  for (const char32_t c : text) {
    const uint8_t flags = table.Flags(c);
    if ((flags & kCharDropped) != 0) continue;
    if ((flags & kCharSpace) != 0) {
      spaced += U' ';
    } else if ((flags & (kCharPunctuation | kCharCjk)) != 0) {
      spaced += {U' ', c, U' '};
    } else {
      AppendLowerCase(c, &spaced);
    }
  }
  std::vector<std::string> words;
  for (size_t pos = 0; pos < spaced.size();) {
    const size_t end = std::min(spaced.find(U' ', pos), spaced.size());
    std::string word;
    for (size_t i = pos; i < end; ++i) AppendUtf8(spaced[i], &word);
    if (end > pos) words.push_back(absl::StrCat(word, "/", end - pos));
    pos = end + 1;
  }
  return words;
}

TEST(WordSplitterTest, AgreesWithThePlainStepsOnRandomTexts) {
  constexpr uint64_t kSeed = 3;
  SCOPED_TRACE(kSeed);
  constexpr char32_t kSome[] = {0x0130,  0x200B, 0x00E9, 0x00C9,
                                0x3000,  0x1,    0x3002, 0x6F22,
                                0x1F600, 0x0301, 0xFEFF, 0x1100};
  Pcg32 random(kSeed);
  for (int i = 0; i < 5000; ++i) {
    std::u32string text;
    std::string utf8;
    for (uint32_t n = random.Below(30); n > 0; --n) {
      const uint32_t kind = random.Below(10);
      text += kind < 4   ? 0xAC00 + random.Below(11172)
              : kind < 8 ? 1 + random.Below(126)
                         : kSome[random.Below(12)];
      AppendUtf8(text.back(), &utf8);
    }
    ASSERT_EQ(Words(utf8), PlainWords(text)) << utf8;
  }
}

TEST(WordSplitterTest, StopsWhenTheVisitorSaysSo) {
  int seen = 0;
  WordSplitter({}).ForEachWord(
      "a b, c", [&seen](absl::string_view, int) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace kodistil
