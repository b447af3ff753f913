#include "serving/classify_job.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

ClassifyJob Job(std::vector<std::string> texts) {
  ClassifyJob job;
  job.texts = std::move(texts);
  return job;
}

void ExpectBad(const ClassifyJob& job, const std::string& field,
               const std::string& what) {
  const absl::Status status = job.Validate();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr(absl::StrCat(field, ": ", what))));
  EXPECT_EQ(FieldOf(status), field);
}

std::string Repeat(absl::string_view piece, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) absl::StrAppend(&text, piece);
  return text;
}

TEST(ClassifyJobTest, TakesOneToSixtyFourTexts) {
  EXPECT_OK(Job({"좋다"}).Validate());
  EXPECT_OK(Job(std::vector<std::string>(64, "a")).Validate());
  ExpectBad(Job({}), "texts", "has 0 texts; expected 1 to 64");
  ExpectBad(Job(std::vector<std::string>(65, "a")), "texts",
            "has 65 texts; expected 1 to 64");
}

TEST(ClassifyJobTest, CountsCharactersNotBytes) {
  EXPECT_OK(Job({Repeat("가", 10000)}).Validate());
  EXPECT_OK(Job({Repeat("\xF0\x9F\x98\x80", 10000)}).Validate());
  ExpectBad(Job({"a", Repeat("가", 10001)}), "texts[1]",
            "has 10001 characters; expected 1 to 10000");
  ExpectBad(Job({"a", "b", ""}), "texts[2]", "is empty");
}

// Overlong, a surrogate, above U+10FFFF, cut off.
TEST(ClassifyJobTest, RefusesWhatIsNotUtf8) {
  for (const char* bad :
       {"ab\xC0\xAF", "ab\xED\xA0\x80", "ab\xF4\x90\x80\x80", "ab\xEA\xB0"}) {
    ExpectBad(Job({bad}), "texts[0]", "byte 2 is not UTF-8");
  }
}

TEST(ClassifyJobTest, ANameHasALimit) {
  ClassifyJob job = Job({"a"});
  job.model = std::string(128, 'm');
  EXPECT_OK(job.Validate());
  job.model += "m";
  ExpectBad(job, "model", "has 129 bytes; expected at most 128");
}

TEST(FieldErrorTest, AStatusWithoutAFieldNamesNone) {
  EXPECT_EQ(FieldOf(absl::InvalidArgumentError("x")), "");
  EXPECT_EQ(FieldOf(FieldError("", "x")), "");
}

}  // namespace
}  // namespace kodistil
