#include "corpus/utf8.h"

#include <string>

#include "base/testing.h"

namespace kodistil {
namespace {

TEST(Utf8Test, WellFormedTextIsItsOwnPrefix) {
  for (const std::string text :
       {"", "abc", "재미있다", "é", "\xF0\x9F\x98\x80", "\xED\x9F\xBF",
        "\xEE\x80\x80", "\xF4\x8F\xBF\xBF", "\xE0\xA0\x80"}) {
    EXPECT_EQ(WellFormedUtf8Prefix(text), text.size()) << text;
  }
}

TEST(Utf8Test, IllFormedSequencesAreFoundWhereTheyBegin) {
  for (const std::string bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
        "\xEC", "\xEC\x9E",
        "\xEC\x9E"
        "a",
        "\xF0\x9F\x98", "\xC3"}) {
    EXPECT_EQ(WellFormedUtf8Prefix("가a" + bad), 4u);
    EXPECT_EQ(WellFormedUtf8Prefix("가a" + bad + "나"), 4u);
  }
}

TEST(Utf8Test, TailBeginsWithACharacterAndIsWellFormed) {
  EXPECT_EQ(Utf8Tail("abc", 10), "abc");
  EXPECT_EQ(Utf8Tail("abc", 2), "bc");
  EXPECT_EQ(Utf8Tail("가나다", 7), "나다");
  EXPECT_EQ(Utf8Tail("가나다", 6), "나다");
  EXPECT_EQ(Utf8Tail("가\xEC\x9E나\xFF", 100), "가??나?");
  EXPECT_EQ(Utf8Tail("", 0), "");
}

TEST(Utf8Test, LengthIsCountedInCharacters) {
  EXPECT_EQ(CountCharacters(""), 0);
  EXPECT_EQ(CountCharacters("a가😀"), 3);
  EXPECT_EQ(TextLengthProblem("가나다", 3), "");
  EXPECT_EQ(TextLengthProblem("가나다라", 3),
            "the text has 4 characters, expected at most 3");
}

TEST(Utf8Test, BlankIsSpacesControlsAndZeroWidth) {
  EXPECT_TRUE(IsBlank(""));
  EXPECT_TRUE(IsBlank(" \t\r\n\x01"));
  EXPECT_TRUE(IsBlank("\xE3\x80\x80\xC2\xA0\xE2\x80\x8B\xEF\xBB\xBF"));
  EXPECT_FALSE(IsBlank(" ."));
  EXPECT_FALSE(IsBlank("\xE3\x80\x80ㅋ"));
}

}  // namespace
}  // namespace kodistil
