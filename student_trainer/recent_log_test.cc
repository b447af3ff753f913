#include "student_trainer/recent_log.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(RecentLogTest, HasWhatWasLoggedWhileItLives) {
  LOG(INFO) << "before";
  const RecentLog log;
  EXPECT_THAT(log.Text(), IsEmpty());
  LOG(WARNING) << "trial abc failed";
  EXPECT_THAT(log.Text(), HasSubstr("recent_log_test.cc:"));
  EXPECT_THAT(log.Text(), EndsWith("] trial abc failed\n"));
  EXPECT_THAT(log.Text(), Not(HasSubstr("before")));
}

TEST(RecentLogTest, KeepsTheLastLines) {
  RecentLogOptions options;
  options.lines = 3;
  const RecentLog log(options);
  for (int i = 0; i < 10; ++i) LOG(INFO) << "number " << i;
  const std::vector<std::string> lines =
      absl::StrSplit(log.Text(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], EndsWith("number 7"));
  EXPECT_THAT(lines[2], EndsWith("number 9"));
}

TEST(RecentLogTest, IsBoundedAndWellFormed) {
  RecentLogOptions options;
  options.bytes = 100;
  const RecentLog log(options);
  std::string korean;
  for (int i = 0; i < 200; ++i) korean += "한";
  LOG(INFO) << korean;
  LOG(INFO) << "then \xff and \xed\x95";
  const std::string text = log.Text();
  EXPECT_LE(text.size(), 100u);
  EXPECT_EQ(WellFormedUtf8Prefix(text), text.size());
  EXPECT_THAT(text, HasSubstr("한"));
  EXPECT_THAT(text, EndsWith("then ? and ??\n"));
}

}  // namespace
}  // namespace kodistil
