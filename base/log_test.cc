#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "base/testing.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

// The lines that the example program writes to stderr.
std::vector<std::string> LinesOf(const std::string& environment,
                                 const std::string& arguments) {
  const std::string command = absl::StrCat(
      environment, " ", FindSiblingBinary("base/command_line_example"),
      " --log ", arguments, " 2>&1 >/dev/null");
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string text;
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    text.append(buffer, size);
  }
  pclose(pipe);
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  EXPECT_EQ(lines.back(), "") << "no line end at the end";
  lines.pop_back();
  return lines;
}

std::vector<json> JsonLinesOf(const std::string& environment,
                              const std::string& arguments) {
  std::vector<json> parsed;
  for (const std::string& line : LinesOf(environment, arguments)) {
    parsed.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
    EXPECT_TRUE(parsed.back().is_object()) << line;
  }
  return parsed;
}

TEST(LogTest, JsonLinesCarryTimePlaceServiceAndContext) {
  const std::vector<json> lines = JsonLinesOf("", "--log_format=json");
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_EQ(lines[0]["msg"], "one \"line\"\nof two");
  EXPECT_EQ(lines[0]["severity"], "INFO");
  EXPECT_EQ(lines[0]["service"], "command_line_example");
  EXPECT_EQ(lines[0]["file"], "base/command_line_example_main.cc");
  EXPECT_GT(lines[0]["line"], 1);
  EXPECT_EQ(lines[0]["trial"], "abc");
  EXPECT_EQ(lines[0]["attempt"], 2);
  EXPECT_FALSE(lines[0].contains("request_id"));
  const std::string time = lines[0]["ts"];
  EXPECT_THAT(time, MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:"
                                 "[0-9]{2}\\.[0-9]{6}Z"));
  absl::Time parsed;
  std::string error;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, time, &parsed, &error));
  EXPECT_LT(absl::AbsDuration(absl::Now() - parsed), absl::Hours(1));
}

TEST(LogTest, ContextIsTheThreadsOwnAndNests) {
  const std::vector<json> lines = JsonLinesOf("", "--log_format=json");
  ASSERT_THAT(lines, SizeIs(5));
  // Not UTF-8 where it was written.
  EXPECT_EQ(lines[1]["msg"], "\xef\xbf\xbd of another thread, 한글");
  EXPECT_EQ(lines[1]["severity"], "WARNING");
  EXPECT_EQ(lines[1]["request_id"], "r-7");
  EXPECT_FALSE(lines[1].contains("trial"));
  EXPECT_EQ(lines[2]["severity"], "ERROR");
  EXPECT_EQ(lines[2]["trial"], "abc");
  EXPECT_EQ(lines[2]["request_id"], "r-8");
  EXPECT_EQ(lines[3]["msg"], "to a person");
  EXPECT_EQ(lines[4]["msg"], "in two lines");
  EXPECT_EQ(lines[4]["trial"], "abc");
  EXPECT_FALSE(lines[4].contains("request_id"));
  EXPECT_FALSE(lines[4].contains("file"));
}

TEST(LogTest, TextIsGlogsWithTheContextBehindIt) {
  const std::vector<std::string> lines = LinesOf("", "");
  // Nothing twice: the first message has two lines.
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_THAT(lines[0],
              MatchesRegex("I[0-9]{8} [0-9:.]+ +[0-9]+ "
                           "command_line_example_main\\.cc:[0-9]+\\] one "
                           "\"line\""));
  EXPECT_EQ(lines[1], "of two [trial=abc attempt=2]");
  EXPECT_THAT(lines[2], HasSubstr("한글 [request=r-7]"));
  EXPECT_THAT(lines[3], HasSubstr("inner [trial=abc attempt=2 request=r-8]"));
  EXPECT_EQ(lines[4], "to a person");
  EXPECT_EQ(lines[5], "in two lines");
}

TEST(LogTest, GlogsOwnVariablesStillCount) {
  EXPECT_THAT(JsonLinesOf("GLOG_minloglevel=2", "--log_format=json"), SizeIs(3))
      << "one error and two lines to a person";
}

TEST(LogTest, VariableIsTheDefaultAndTheFlagCounts) {
  EXPECT_THAT(JsonLinesOf("KODISTIL_LOG_FORMAT=json", ""), SizeIs(5));
  EXPECT_THAT(LinesOf("KODISTIL_LOG_FORMAT=json", "--log_format=text"),
              SizeIs(6));
  EXPECT_THAT(JsonLinesOf("KODISTIL_LOG_FORMAT=text", "--log_format json"),
              SizeIs(5));
}

TEST(LogTest, UnknownFormatsAreUsageErrors) {
  EXPECT_THAT(LinesOf("", "--log_format=xml"),
              ElementsAre("error: --log_format: found 'xml', expected text or "
                          "json",
                          "Run with --help for all flags."));
  EXPECT_THAT(
      LinesOf("KODISTIL_LOG_FORMAT=xml", ""),
      ElementsAre(HasSubstr("KODISTIL_LOG_FORMAT: found 'xml'"), ::testing::_));
  EXPECT_THAT(LinesOf("", "--log_format"),
              ElementsAre("error: --log_format needs a value", ::testing::_));
}

TEST(LogTest, ErrorsOfTheCommandAreJsonToo) {
  const std::vector<json> lines =
      JsonLinesOf("", "--log_format=json --count=0");
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_EQ(lines[5]["msg"], "error: nothing to count");
  EXPECT_EQ(lines[5]["severity"], "ERROR");
  const std::vector<json> usage =
      JsonLinesOf("", "--log_format=json --no_such_flag");
  ASSERT_THAT(usage, SizeIs(2));
  EXPECT_THAT(std::string(usage[0]["msg"]), HasSubstr("--no_such_flag"));
}

TEST(LogTest, LongMessagesAreOneLine) {
  LogLine line;
  line.time = absl::UnixEpoch();
  line.severity = "INFO";
  line.service = "x";
  line.message = std::string(100000, 'a') + "\n\t\x01\"\\";
  const std::string text = LogLineJson(line);
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_EQ(json::parse(text)["msg"], line.message);
  EXPECT_EQ(json::parse(text)["ts"], "1970-01-01T00:00:00.000000Z");
}

}  // namespace
}  // namespace kodistil
