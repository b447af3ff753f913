#include "corpus/text_formats.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kNsmcHeader[] = "id\tdocument\tlabel\n";

struct Outcome {
  absl::Status status;
  std::vector<Row> rows;
  ReadReport report;
};

Outcome Read(FileFormat format, const std::string& bytes,
             bool skip_bad_rows = false) {
  RowSink sink(skip_bad_rows);
  sink.BeginFile("f.txt", Split::kNone);
  Outcome outcome;
  outcome.status = ReadTextRows(format, bytes, "f.txt", &sink);
  outcome.report = sink.report();
  outcome.rows = sink.TakeRows();
  return outcome;
}

// "label:text" of each row, joined by "|".
std::string Summary(const Outcome& outcome) {
  EXPECT_OK(outcome.status);
  std::string text;
  for (const Row& row : outcome.rows) {
    absl::StrAppend(&text, text.empty() ? "" : "|", row.label, ":", row.text);
  }
  return text;
}

TEST(TextFormatsTest, NsmcHasAHeaderAndThreeColumns) {
  EXPECT_EQ(
      Summary(Read(FileFormat::kNsmc,
                   absl::StrCat(kNsmcHeader, "1\t좋다\t1\n2\t 별로 \t0"))),
      "1:좋다|0: 별로 ");
  EXPECT_EQ(Summary(Read(FileFormat::kNsmc, kNsmcHeader)), "");
}

TEST(TextFormatsTest, ByteOrderMarkAndCarriageReturnsAreDropped) {
  EXPECT_EQ(Summary(Read(FileFormat::kNsmc,
                         "\xEF\xBB\xBFid\tdocument\tlabel\r\n1\t가\t1\r\n")),
            "1:가");
  EXPECT_EQ(Summary(Read(FileFormat::kLines, "\xEF\xBB\xBF가\r\n나\r")),
            "-1:가|-1:나");
  EXPECT_EQ(Summary(Read(FileFormat::kCsv,
                         "\xEF\xBB\xBF"
                         "document,label\r\n가,1\r\n")),
            "1:가");
}

TEST(TextFormatsTest, NsmcWithoutHeaderIsInvalidArgumentEvenWhenSkipping) {
  EXPECT_THAT(Read(FileFormat::kNsmc, "1\t좋다\t1\n", true).status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("f.txt:1: expected the header")));
}

TEST(TextFormatsTest, NaverShoppingLeavesOutRatingThree) {
  const Outcome outcome =
      Read(FileFormat::kNaverShopping, "1\t가\n2\t나\n3\t다\n4\t라\n5\t마\n");
  EXPECT_EQ(Summary(outcome), "0:가|0:나|1:라|1:마");
  EXPECT_EQ(outcome.report.skipped, 0);
}

TEST(TextFormatsTest, SteamHasLabelFirst) {
  EXPECT_EQ(Summary(Read(FileFormat::kSteam, "0\t가\n1\t나\n")), "0:가|1:나");
}

TEST(TextFormatsTest, CsvColumnsAreFoundByName) {
  EXPECT_EQ(Summary(Read(FileFormat::kCsv,
                         "idx,label,extra,document\n"
                         "0,1,x,\"좋다, \"\"아주\"\"\n둘째 줄\"\n1,0,,나\n")),
            "1:좋다, \"아주\"\n둘째 줄|0:나");
}

TEST(TextFormatsTest, CsvWithoutItsColumnsIsInvalidArgument) {
  EXPECT_THAT(Read(FileFormat::kCsv, "text,label\n가,1\n").status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("f.txt:1: expected a header"),
                             HasSubstr("'text,label'"))));
}

TEST(TextFormatsTest, UnclosedCsvQuoteIsNotSkipped) {
  EXPECT_THAT(
      Read(FileFormat::kCsv, "document,label\n\"가,1\n나,0\n", true).status,
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("f.txt:2: the quote that opens field 1")));
}

struct BadCase {
  FileFormat format;
  std::string bytes;  // whose line 3 is bad
  std::string message;
};

std::vector<BadCase> BadCases() {
  const std::string nsmc = absl::StrCat(kNsmcHeader, "1\t가\t1\n");
  const std::string csv = "document,label,idx\n가,1,0\n";
  const std::string steam = "0\t가\n1\t나\n";
  const std::string nul("\0", 1);
  return {
      {FileFormat::kNsmc, nsmc + "2\t나\t7\n", "label '7', expected 0 or 1"},
      {FileFormat::kNsmc, nsmc + "2\t나\t\n", "no label, expected 0 or 1"},
      {FileFormat::kNsmc, nsmc + "2\t\t1\n", "no text"},
      {FileFormat::kNsmc, nsmc + "2\t \xE3\x80\x80\t1\n", "no text"},
      {FileFormat::kNsmc, nsmc + "2\t나\n", "2 columns, expected 3"},
      {FileFormat::kNsmc, nsmc + "2\t나\t1\t1\n", "4 columns, expected 3"},
      {FileFormat::kNsmc, nsmc + "\n", "1 column, expected 3"},
      {FileFormat::kNsmc, nsmc + "2\t나\xB0\xA1\t1\n",
       "byte 6 of the row, 0xb0, is not valid UTF-8"},
      {FileFormat::kNsmc, nsmc + "2\t" + nul + "나\t1\n",
       "a NUL at byte 3 of the row"},
      {FileFormat::kSteam, steam + "2\t가\n", "label '2', expected 0 or 1"},
      {FileFormat::kSteam, steam + "1\n", "1 column, expected 2"},
      {FileFormat::kNaverShopping, steam.substr(6) + "5\t나\n6\t가\n",
       "rating '6', expected 1, 2, 3, 4 or 5"},
      {FileFormat::kNaverShopping, steam.substr(6) + "5\t나\n\t가\n",
       "no rating, expected"},
      {FileFormat::kCsv, csv + "나,1\n", "2 columns, expected 3"},
      {FileFormat::kCsv, csv + "나,one,1\n", "label 'one', expected a class"},
      {FileFormat::kCsv, csv + "나,1000,1\n", "label '1000', expected"},
      {FileFormat::kCsv, csv + "나,-1,1\n", "label '-1', expected"},
      {FileFormat::kCsv, csv + "나,,1\n", "no label, expected"},
      {FileFormat::kCsv, csv + "\"\",1,1\n", "no text"},
      {FileFormat::kCsv, csv + "나,1,0\n", "idx 0 a second time"},
      {FileFormat::kCsv, csv + "나,1,x\n", "idx 'x', expected a number"},
      {FileFormat::kCsv, csv + "나\"가,1,1\n", "a bare quote in field 1"},
      {FileFormat::kLines, "가\n나\n\n", "no text"},
      {FileFormat::kLines, "가\n나\n\xFF\n", "byte 1 of the row, 0xff"},
  };
}

TEST(TextFormatsTest, BadRowIsInvalidArgumentNamingFileLineAndCause) {
  for (const BadCase& bad : BadCases()) {
    SCOPED_TRACE(bad.message);
    EXPECT_THAT(Read(bad.format, bad.bytes).status,
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("f.txt:3: " + bad.message),
                               HasSubstr("--skip_bad_rows"))));
  }
}

TEST(TextFormatsTest, SkippedRowIsCountedAndLeavesTheOthers) {
  for (const BadCase& bad : BadCases()) {
    SCOPED_TRACE(bad.message);
    const Outcome outcome = Read(bad.format, bad.bytes, /*skip_bad_rows=*/true);
    EXPECT_OK(outcome.status);
    EXPECT_GE(outcome.rows.size(), 1u);
    EXPECT_EQ(outcome.report.skipped, 1);
    ASSERT_EQ(outcome.report.first_skipped.size(), 1u);
    EXPECT_EQ(outcome.report.first_skipped[0].file, "f.txt");
    EXPECT_EQ(outcome.report.first_skipped[0].line, 3);
    EXPECT_THAT(outcome.report.first_skipped[0].reason, HasSubstr(bad.message));
  }
}

TEST(TextFormatsTest, OnlyTenSkippedRowsAreListed) {
  std::string bytes = "0\t가\n";
  for (int i = 0; i < 25; ++i) bytes += "9\t나\n";
  const Outcome outcome = Read(FileFormat::kSteam, bytes, true);
  EXPECT_EQ(outcome.report.skipped, 25);
  EXPECT_EQ(outcome.report.first_skipped.size(), 10u);
}

TEST(TextFormatsTest, LabelAboveAGapIsBad) {
  RowSink sink(/*skip_bad_rows=*/false);
  sink.BeginFile("f.csv", Split::kTest);
  EXPECT_OK(ReadTextRows(FileFormat::kCsv, "document,label\n가,1\n나,7\n",
                         "f.csv", &sink));
  EXPECT_EQ(sink.rows()[0].split, Split::kTest);
  EXPECT_THAT(sink.DropLabelsAboveGap(/*known_classes=*/2),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("f.csv:3: label 7, expected 0 to 1 (no row "
                                 "has label 2)")));

  RowSink lenient(/*skip_bad_rows=*/true);
  lenient.BeginFile("f.csv", Split::kNone);
  EXPECT_OK(ReadTextRows(FileFormat::kCsv,
                         "document,label\n가,7\n나,2\n다,0\n라,9\n마,3\n",
                         "f.csv", &lenient));
  EXPECT_OK(lenient.DropLabelsAboveGap(/*known_classes=*/2));
  ASSERT_EQ(lenient.rows().size(), 3u);
  EXPECT_EQ(lenient.rows()[2].text, "마");
  EXPECT_EQ(lenient.report().skipped, 2);
}

TEST(TextFormatsTest, FormatNamesRoundTrip) {
  for (const char* name :
       {"nsmc", "naver_shopping", "steam", "csv", "lines", "kds"}) {
    ASSERT_OK_AND_ASSIGN(const FileFormat format, ParseFormat(name));
    EXPECT_EQ(FormatName(format), name);
  }
  EXPECT_THAT(ParseFormat("tsv"), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("unknown format 'tsv'")));
}

TEST(TextFormatsTest, FormatsAreSniffed) {
  const std::pair<const char*, FileFormat> cases[] = {
      {"id\tdocument\tlabel\r\n", FileFormat::kNsmc},
      {"\xEF\xBB\xBFid\tdocument\tlabel\n", FileFormat::kNsmc},
      {"document,label,idx\n", FileFormat::kCsv},
      {"idx,\"document\",label\n", FileFormat::kCsv},
      {"1\t가\n0\t나\n", FileFormat::kSteam},
      {"1\t가\n5\t나\n", FileFormat::kNaverShopping},
      {"KODISTDS\1", FileFormat::kKds},
      {"그냥 글\n", FileFormat::kLines},
      {"", FileFormat::kLines},
  };
  for (const auto& [bytes, expected] : cases) {
    ASSERT_OK_AND_ASSIGN(const FileFormat format, SniffFormat(bytes, "f"));
    EXPECT_EQ(FormatName(format), FormatName(expected)) << bytes;
  }
}

TEST(TextFormatsTest, AmbiguousFilesAreNotGuessed) {
  for (const char* bytes : {"1\t가\n1\t나\n", "0\t가\n5\t나\n", "a\tb\tc\n"}) {
    EXPECT_THAT(SniffFormat(bytes, "f.txt"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("f.txt: the first lines do not tell")));
  }
}

}  // namespace
}  // namespace kodistil
