#include "corpus/pre_tokenizer.h"

#include "base/testing.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Words(const std::unique_ptr<PreTokenizer>& splitter,
                               const std::string& text, bool at_start = true) {
  std::vector<PreToken> words = {{text, at_start}};
  splitter->Apply(&words);
  std::vector<std::string> texts;
  for (const PreToken& word : words) texts.push_back(word.text);
  return texts;
}

std::unique_ptr<PreTokenizer> OnDashes(SeparatorBehavior behavior,
                                       bool invert = false) {
  return NewSplitPreTokenizer(NewLiteralFinder("-"), behavior, invert);
}

// The example of SplitDelimiterBehavior in Hugging Face's documentation.
TEST(PreTokenizerTest, WhatBecomesOfSeparators) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(Words(OnDashes(SeparatorBehavior::kRemoved), text),
              ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(Words(OnDashes(SeparatorBehavior::kIsolated), text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(Words(OnDashes(SeparatorBehavior::kMergedWithPrevious), text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(Words(OnDashes(SeparatorBehavior::kMergedWithNext), text),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(Words(OnDashes(SeparatorBehavior::kContiguous), text),
              ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(Words(OnDashes(SeparatorBehavior::kRemoved, true), "a--b"),
              ElementsAre("-", "-"));
}

TEST(PreTokenizerTest, FindersFindCharactersAndRuns) {
  const auto characters =
      NewSplitPreTokenizer(NewCharacterFinder(IsNumber),
                           SeparatorBehavior::kIsolated, /*invert=*/false);
  EXPECT_THAT(Words(characters, "a12b"), ElementsAre("a", "1", "2", "b"));
  const auto runs = NewSplitPreTokenizer(
      NewRunFinder(IsNumber), SeparatorBehavior::kIsolated, /*invert=*/false);
  EXPECT_THAT(Words(runs, "a12b"), ElementsAre("a", "12", "b"));
  const auto never =
      NewSplitPreTokenizer(NewLiteralFinder(""), SeparatorBehavior::kRemoved,
                           /*invert=*/false);
  EXPECT_THAT(Words(never, "ab"), ElementsAre("ab"));
}

TEST(PreTokenizerTest, Gpt2Pattern) {
  const auto splitter =
      NewSplitPreTokenizer(NewGpt2Finder(), SeparatorBehavior::kIsolated,
                           /*invert=*/false);
  EXPECT_THAT(
      Words(splitter, "I'll say 12  times!! ok"),
      ElementsAre("I", "'ll", " say", " 12", " ", " times", "!!", " ok"));
  EXPECT_THAT(Words(splitter, "영화 3편 'S 's"),
              ElementsAre("영화", " 3", "편", " '", "S", " '", "s"));
  EXPECT_THAT(Words(splitter, "a \n b \n"),
              ElementsAre("a", " \n", " b", " \n"));
  EXPECT_THAT(Words(splitter, "a\nb"), ElementsAre("a", "\n", "b"));
  EXPECT_THAT(Words(splitter, ""), IsEmpty());
}

TEST(PreTokenizerTest, BertSplitsAtSpacesAndPunctuation) {
  EXPECT_THAT(Words(NewBertPreTokenizer(), " 좋아요!!\u3000ok\u300a영\u300b"),
              ElementsAre("좋아요", "!", "!", "ok", "\u300a", "영", "\u300b"));
}

TEST(PreTokenizerTest, WordsAndWhatIsBetween) {
  EXPECT_THAT(Words(NewWordPreTokenizer(), "a_1 영화!? \u314b"),
              ElementsAre("a_1", "영화", "!?", "\u314b"));
}

TEST(PreTokenizerTest, MetaspaceMarksWords) {
  const std::string mark = "\u2581";
  const auto always = NewMetaspacePreTokenizer(mark, PrependScheme::kAlways,
                                               /*split=*/true);
  EXPECT_THAT(Words(always, "a  b"),
              ElementsAre("\u2581a", "\u2581", "\u2581b"));
  EXPECT_THAT(Words(always, " a"), ElementsAre("\u2581a"));
  const auto first = NewMetaspacePreTokenizer(mark, PrependScheme::kFirst,
                                              /*split=*/false);
  EXPECT_THAT(Words(first, "a b"), ElementsAre("\u2581a\u2581b"));
  EXPECT_THAT(Words(first, "a b", /*at_start=*/false), ElementsAre("a\u2581b"));
  const auto never = NewMetaspacePreTokenizer(mark, PrependScheme::kNever,
                                              /*split=*/true);
  EXPECT_THAT(Words(never, "a b"), ElementsAre("a", "\u2581b"));
}

TEST(PreTokenizerTest, BytesBecomeCharacters) {
  EXPECT_EQ(ToByteLevel("a !"), "a\u0120!");
  EXPECT_EQ(ToByteLevel("\n\x7f"), "\u010a\u0121");
  EXPECT_EQ(ToByteLevel("\u00e9"), "\u00c3\u00a9");
  const auto prefixed = NewByteLevelPreTokenizer(/*add_prefix_space=*/true,
                                                 /*use_regex=*/true);
  EXPECT_THAT(Words(prefixed, "a b"), ElementsAre("\u0120a", "\u0120b"));
  EXPECT_THAT(Words(prefixed, " a"), ElementsAre("\u0120a"));
  const auto whole = NewByteLevelPreTokenizer(/*add_prefix_space=*/false,
                                              /*use_regex=*/false);
  EXPECT_THAT(Words(whole, "a b"), ElementsAre("a\u0120b"));
}

TEST(PreTokenizerTest, OnlyTheFirstWordIsAtTheStart) {
  std::vector<PreToken> words = {{"ab cd", true}};
  NewBertPreTokenizer()->Apply(&words);
  ASSERT_EQ(words.size(), 2u);
  EXPECT_TRUE(words[0].at_start);
  EXPECT_FALSE(words[1].at_start);
}

}  // namespace
}  // namespace kodistil
