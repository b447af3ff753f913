#include "corpus/csv.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<CsvRecord> ReadAll(absl::string_view bytes) {
  CsvReader reader(bytes);
  std::vector<CsvRecord> records;
  CsvRecord record;
  for (;;) {
    const absl::StatusOr<bool> more = reader.Next(&record);
    EXPECT_OK(more);
    if (!more.ok() || !*more) return records;
    records.push_back(record);
  }
}

TEST(CsvTest, PlainRecordsEndWithLfCrlfOrNothing) {
  const std::vector<CsvRecord> records = ReadAll("a,b\r\n,\nc");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(records[0].fields, ElementsAre("a", "b"));
  EXPECT_THAT(records[1].fields, ElementsAre("", ""));
  EXPECT_THAT(records[2].fields, ElementsAre("c"));
  EXPECT_EQ(records[2].line, 3);
}

TEST(CsvTest, QuotedFieldsHoldCommasQuotesAndLineBreaks) {
  const std::vector<CsvRecord> records =
      ReadAll("\"a, \"\"b\"\"\r\nc\",1\n\"\",\"\"\"\"\nlast,\"x\"");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(records[0].fields, ElementsAre("a, \"b\"\r\nc", "1"));
  EXPECT_THAT(records[1].fields, ElementsAre("", "\""));
  EXPECT_EQ(records[1].line, 3);
  EXPECT_THAT(records[2].fields, ElementsAre("last", "x"));
  for (const CsvRecord& record : records)
    EXPECT_THAT(record.problem, IsEmpty());
}

TEST(CsvTest, BadQuotingIsAProblemOfItsRecordAlone) {
  const std::vector<CsvRecord> records = ReadAll("a\"b,1\n\"a\"b,1\nc,1\n");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(records[0].problem, HasSubstr("bare quote in field 1"));
  EXPECT_THAT(records[1].problem, HasSubstr("after the closing quote"));
  EXPECT_THAT(records[2].problem, IsEmpty());
}

TEST(CsvTest, UnclosedQuoteIsInvalidArgumentNamingItsLine) {
  CsvReader reader("a,b\nc,\"d\ne\n");
  CsvRecord record;
  ASSERT_OK_AND_ASSIGN(bool more, reader.Next(&record));
  EXPECT_TRUE(more);
  EXPECT_THAT(reader.Next(&record),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "2: the quote that opens field 2 is never closed"));
}

TEST(CsvTest, EmptyInputHasNoRecords) { EXPECT_THAT(ReadAll(""), IsEmpty()); }

}  // namespace
}  // namespace kodistil
