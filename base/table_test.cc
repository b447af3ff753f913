#include "base/table.h"

#include <string>

#include "gtest/gtest.h"

namespace kodistil {
namespace {

TEST(DisplayWidthTest, CountsColumnsOfATerminal) {
  EXPECT_EQ(DisplayWidth(""), 0);
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("한국어"), 6);
  EXPECT_EQ(DisplayWidth("재미있다 good"), 13);
  EXPECT_EQ(DisplayWidth("ㅋㅋ"), 4);
  EXPECT_EQ(DisplayWidth("ＡＢ"), 4) << "full-width Latin";
  EXPECT_EQ(DisplayWidth("ｶﾅ"), 2) << "half-width Katakana";
  EXPECT_EQ(DisplayWidth("😀"), 2);
}

TEST(DisplayWidthTest, MarksAndControlsTakeNothing) {
  EXPECT_EQ(DisplayWidth("e\u0301"), 1) << "combining acute accent";
  EXPECT_EQ(DisplayWidth("\u1112\u1161\u11ab"), 2) << "decomposed syllable";
  EXPECT_EQ(DisplayWidth("a\u200bb"), 2) << "zero-width space";
  EXPECT_EQ(DisplayWidth("a\tb\n"), 2);
}

TEST(DisplayWidthTest, BrokenUtf8IsOneColumnPerReplacement) {
  EXPECT_EQ(DisplayWidth("a\xff"), 2);
  EXPECT_EQ(DisplayWidth("\xed\x95"), 1) << "truncated character";
}

TEST(CutToWidthTest, NeverSplitsACharacter) {
  EXPECT_EQ(CutToWidth("한국어", 6), "한국어");
  EXPECT_EQ(CutToWidth("한국어", 5), "한국");
  EXPECT_EQ(CutToWidth("한국어", 1), "");
  EXPECT_EQ(CutToWidth("abc", 0), "");
  EXPECT_EQ(CutToWidth("e\u0301x", 1), "e\u0301");
}

Table Sample() {
  Table table({{"model"}, {"accuracy", /*right=*/true}, {"note"}});
  table.AddRow({"작은 모델", "84.31", ""});
  table.AddRow({"tiny", "9.5", "a|b, \"c\""});
  return table;
}

TEST(TableTest, TextIsAlignedByDisplayWidth) {
  EXPECT_EQ(Sample().ToText(),
            "model      accuracy  note\n"
            "---------  --------  --------\n"
            "작은 모델     84.31\n"
            "tiny            9.5  a|b, \"c\"\n");
}

TEST(TableTest, MarkdownEscapesPipesAndAlignsNumbers) {
  EXPECT_EQ(Sample().ToMarkdown(),
            "| model | accuracy | note |\n"
            "| --- | ---: | --- |\n"
            "| 작은 모델 | 84.31 |  |\n"
            "| tiny | 9.5 | a\\|b, \"c\" |\n");
}

TEST(TableTest, CsvQuotesWhatRfc4180Asks) {
  EXPECT_EQ(Sample().ToCsv(),
            "model,accuracy,note\r\n"
            "작은 모델,84.31,\r\n"
            "tiny,9.5,\"a|b, \"\"c\"\"\"\r\n");
}

TEST(TableTest, ControlCharactersBecomeSpaces) {
  Table table({{"text"}});
  table.AddRow({"a\nb\x1b[2J\u009bc\td"});
  EXPECT_EQ(table.ToCsv(), "text\r\na b [2J c d\r\n");
}

TEST(TableTest, EmptyTableIsItsHeader) {
  EXPECT_EQ(Table({{"이름"}, {"n", /*right=*/true}}).ToText(),
            "이름  n\n----  -\n");
}

TEST(TableDeathTest, RowOfAnotherLengthIsAProgrammerError) {
  Table table({{"a"}, {"b"}});
  EXPECT_DEATH(table.AddRow({"1"}), "cells.size");
}

}  // namespace
}  // namespace kodistil
