#include "corpus/text_normalizer.h"

#include "base/testing.h"

namespace kodistil {
namespace {

std::string Normalized(const std::unique_ptr<TextNormalizer>& normalizer,
                       std::string text, bool* head_lost = nullptr) {
  bool lost = false;
  normalizer->Apply(&text, &lost);
  if (head_lost != nullptr) *head_lost = lost;
  return text;
}

TEST(TextNormalizerTest, BertCleansSpacesAndLowers) {
  BertNormalizerOptions options;
  EXPECT_EQ(Normalized(NewBertNormalizer(options), "A\tb\u0001\u4e2dCaf\u00c9"),
            "a b \u4e2d cafe");
  // Hangul falls apart without its accents; that is so there too.
  EXPECT_EQ(Normalized(NewBertNormalizer(options), "가"), "\u1100\u1161");
  options.strip_accents = false;
  options.handle_chinese_chars = false;
  EXPECT_EQ(Normalized(NewBertNormalizer(options), "가\u4e2d\u00c9"),
            "가\u4e2d\u00e9");
  options.clean_text = options.lowercase = false;
  EXPECT_EQ(Normalized(NewBertNormalizer(options), "A\t\u0001"), "A\t\u0001");
}

TEST(TextNormalizerTest, NormalForms) {
  EXPECT_EQ(Normalized(NewFormNormalizer(NormalForm::kNfc),
                       "\u1112\u1161\u11ab e\u0301"),
            "한 \u00e9");
  EXPECT_EQ(Normalized(NewFormNormalizer(NormalForm::kNfd), "한\u00e9"),
            "\u1112\u1161\u11abe\u0301");
  EXPECT_EQ(Normalized(NewFormNormalizer(NormalForm::kNfkc),
                       "\uff21\u2460\u3131\u33a5"),
            "A1\u1100m3");
  EXPECT_EQ(Normalized(NewFormNormalizer(NormalForm::kNfkd), "\ufb01가"),
            "fi\u1100\u1161");
  // U+32FF is of Unicode 12, which the fast tokenizers' tables do not know.
  EXPECT_EQ(Normalized(NewFormNormalizer(NormalForm::kNfkc), "\u32ff\u32fe"),
            "\u32ff\u30f2");
}

TEST(TextNormalizerTest, SmallParts) {
  EXPECT_EQ(Normalized(NewLowercaseNormalizer(), "A\u03a3\u0130"),
            "a\u03c3i\u0307");
  EXPECT_EQ(Normalized(NewStripAccentsNormalizer(), "e\u0301\u0903x"), "ex");
  EXPECT_EQ(Normalized(NewPrependNormalizer("_"), "a"), "_a");
  EXPECT_EQ(Normalized(NewPrependNormalizer("_"), ""), "");
  EXPECT_EQ(Normalized(NewReplaceNormalizer("``", "\""), "``a```"), "\"a\"`");
  const auto runs = NewReplaceRunsNormalizer(
      [](char32_t c) { return c == ' '; }, /*least=*/2, " ");
  EXPECT_EQ(Normalized(runs, "a  b c    "), "a b c ");
}

TEST(TextNormalizerTest, StripDropsWhiteSpaceAtTheEnds) {
  const std::string text = " \u3000a b\n";
  EXPECT_EQ(Normalized(NewStripNormalizer(true, true), text), "a b");
  EXPECT_EQ(Normalized(NewStripNormalizer(true, false), text), "a b\n");
  EXPECT_EQ(Normalized(NewStripNormalizer(false, true), text), " \u3000a b");
  EXPECT_EQ(Normalized(NewStripNormalizer(false, false), text), text);
  EXPECT_EQ(Normalized(NewStripNormalizer(false, true), "  "), "");
  EXPECT_EQ(Normalized(NewStripNormalizer(true, false), "  "), "");
  EXPECT_EQ(Normalized(NewStripNormalizer(false, false), "  "), "  ");
}

TEST(TextNormalizerTest, ALostHeadIsTold) {
  bool lost = false;
  Normalized(NewStripNormalizer(true, true), " a", &lost);
  EXPECT_TRUE(lost);
  Normalized(NewStripNormalizer(true, true), "a ", &lost);
  EXPECT_FALSE(lost);
  Normalized(NewStripAccentsNormalizer(), "\u0301a", &lost);
  EXPECT_TRUE(lost);
  Normalized(NewReplaceNormalizer("a", ""), "ab", &lost);
  EXPECT_TRUE(lost);
  Normalized(NewBertNormalizer({}), "\u0001a", &lost);
  EXPECT_TRUE(lost);
  Normalized(NewBertNormalizer({}), "a\u0001", &lost);
  EXPECT_FALSE(lost);
}

TEST(TextNormalizerTest, ASequenceGoesInOrder) {
  std::vector<std::unique_ptr<TextNormalizer>> parts;
  parts.push_back(NewLowercaseNormalizer());
  parts.push_back(NewReplaceNormalizer("a", "B"));
  EXPECT_EQ(Normalized(NewNormalizerSequence(std::move(parts)), "Ab"), "Bb");
}

}  // namespace
}  // namespace kodistil
