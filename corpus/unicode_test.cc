#include "corpus/unicode.h"

#include "base/testing.h"

namespace kodistil {
namespace {

std::u32string Decode(absl::string_view text) {
  std::u32string out;
  for (size_t pos = 0; pos < text.size();) {
    out.push_back(NextCodePoint(text, &pos));
  }
  return out;
}

std::u32string Lower(char32_t c) {
  std::u32string out;
  AppendLowerCase(c, &out);
  return out;
}

bool Has(UnicodeRules rules, char32_t c, CharFlag flag) {
  return (CharTable::Get(rules).Flags(c) & flag) != 0;
}

// Every sequence that begins like one of three bytes.
TEST(UnicodeTest, ThreeBytesAreACodePointOrIllFormed) {
  for (uint32_t bytes = 0xE00000; bytes < 0xF00000; ++bytes) {
    const uint32_t lead = bytes >> 16, second = bytes >> 8 & 0xFF;
    const uint32_t c =
        (lead & 0xF) << 12 | (second & 0x3F) << 6 | (bytes & 0x3F);
    const bool continues = (second & 0xC0) == 0x80 && (bytes & 0xC0) == 0x80;
    const bool good = continues && c >= 0x800 && (c < 0xD800 || c > 0xDFFF);
    const std::string text = {static_cast<char>(lead),
                              static_cast<char>(second),
                              static_cast<char>(bytes)};
    size_t pos = 0;
    const char32_t found = NextCodePoint(text, &pos);
    if (good) {
      ASSERT_EQ(pos, 3) << bytes;
    }
    ASSERT_EQ(found, good ? c : kReplacementCharacter) << bytes;
  }
}

TEST(UnicodeTest, DecodesAndEncodesEveryLength) {
  const std::string text = "a\xC3\xA9\xED\x95\x9C\xF0\x9F\x98\x80";
  const std::u32string decoded = Decode(text);
  EXPECT_EQ(decoded, U"a\u00E9\uD55C\U0001F600");
  std::string encoded;
  for (const char32_t c : decoded) AppendUtf8(c, &encoded);
  EXPECT_EQ(encoded, text);
}

TEST(UnicodeTest, IllFormedBytesBecomeReplacementCharacters) {
  EXPECT_EQ(Decode("a\xFF"
                   "b"),
            U"a\uFFFDb");
  EXPECT_EQ(Decode("\xED\x95"), U"\uFFFD");              // cut off
  EXPECT_EQ(Decode("\xC0\xAF"), U"\uFFFD\uFFFD");        // overlong
  EXPECT_EQ(Decode("\xED\xA0\x80").front(), U'\uFFFD');  // a surrogate
}

TEST(UnicodeTest, LowerCasesOneCodePointAtATime) {
  EXPECT_EQ(Lower('A'), U"a");
  EXPECT_EQ(Lower(0x0130), U"i\u0307");
  EXPECT_EQ(Lower(0x03A3), U"\u03C3");
  EXPECT_EQ(Lower(0xAC00), U"\uAC00");
}

TEST(UnicodeTest, NormalisesHangul) {
  const std::u32string composed = U"\uD55C\uAD6D";
  const std::u32string jamo = U"\u1112\u1161\u11AB\u1100\u116E\u11A8";
  EXPECT_EQ(ToNfc(jamo), composed);
  EXPECT_EQ(ToNfd(composed), jamo);
}

TEST(UnicodeTest, FlagsOfCommonCharacters) {
  for (const UnicodeRules rules : {UnicodeRules::kFast, UnicodeRules::kSlow}) {
    EXPECT_TRUE(Has(rules, '\t', kCharSpace));
    EXPECT_FALSE(Has(rules, '\t', kCharDropped));
    EXPECT_TRUE(Has(rules, 0x0B, kCharDropped));  // vertical tab
    EXPECT_TRUE(Has(rules, 0x3000, kCharSpace));
    EXPECT_TRUE(Has(rules, 0x200B, kCharDropped));   // format
    EXPECT_TRUE(Has(rules, 0xE000, kCharDropped));   // private use
    EXPECT_TRUE(Has(rules, '$', kCharPunctuation));  // a symbol, but ASCII
    EXPECT_FALSE(Has(rules, 0x20A9, kCharPunctuation));
    EXPECT_TRUE(Has(rules, 0x2026, kCharPunctuation));
    EXPECT_TRUE(Has(rules, 0x6F22, kCharCjk));
    EXPECT_TRUE(Has(rules, 0x0301, kCharNonspacing));
    EXPECT_TRUE(Has(rules, 0x1112, kCharMaybeNotNfc) ||
                Has(rules, 0x1161, kCharMaybeNotNfc));
    EXPECT_EQ(CharTable::Get(rules).Flags(0x314B), 0);
  }
}

TEST(UnicodeTest, TheTwoTokenizersDisagreeOnNewAndUnassignedCodePoints) {
  // U+0378 is unassigned, U+1FAE8 is of Unicode 15, U+08E2 (format) of 9.
  for (const char32_t c : {0x0378, 0x1FAE8, 0x08E2}) {
    EXPECT_TRUE(Has(UnicodeRules::kSlow, c, kCharDropped)) << c;
    EXPECT_FALSE(Has(UnicodeRules::kFast, c, kCharDropped)) << c;
  }
  EXPECT_TRUE(Has(UnicodeRules::kSlow, 0x2B820, kCharCjk));
  EXPECT_FALSE(Has(UnicodeRules::kFast, 0x2B820, kCharCjk));
}

}  // namespace
}  // namespace kodistil
