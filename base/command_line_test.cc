#include "base/command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Result {
  int exit_code = -1;
  std::string text;
};

Result RunShell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Result result;
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    result.text.append(buffer, size);
  }
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

std::string Example() { return FindSiblingBinary("base/command_line_example"); }

// Exit code and standard output.
Result RunExample(const std::string& arguments) {
  return RunShell(absl::StrCat(Example(), " ", arguments, " 2>/dev/null"));
}

// Exit code and standard error.
Result RunForErrors(const std::string& arguments) {
  return RunShell(absl::StrCat(Example(), " ", arguments, " 2>&1 >/dev/null"));
}

TEST(CommandLineTest, FlagsComeInEveryForm) {
  const Result defaults = RunExample("");
  EXPECT_EQ(defaults.exit_code, 0);
  EXPECT_THAT(defaults.text, StartsWith("name=nobody count=3 verbose=1 "));
  EXPECT_THAT(RunExample("--name=x -count 5 --noverbose").text,
              StartsWith("name=x count=5 verbose=0 "));
  EXPECT_THAT(RunExample("--name= --verbose=false").text,
              StartsWith("name= count=3 verbose=0 "));
  EXPECT_THAT(RunExample("--count=0x10 --verbose").text,
              StartsWith("name=nobody count=16 verbose=1 "));
}

TEST(CommandLineTest, OtherArgumentsAreReturned) {
  const Result result = RunExample("one --name=x two -- --count=9");
  EXPECT_THAT(result.text, StartsWith("name=x count=3 "));
  EXPECT_THAT(result.text,
              HasSubstr("argument=one\nargument=two\nargument=--count=9\n"));
}

TEST(CommandLineTest, HelpShowsOwnFlagsAndExamplesAndExitsZero) {
  const Result result = RunExample("--help");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.text,
              AllOf(HasSubstr("--name (default: nobody)\n      Who it is."),
                    HasSubstr("--count (default: 3)"), HasSubstr("--verbose"),
                    HasSubstr("  bazel run //base:example -- --name=a\n"),
                    HasSubstr("  bazel run //base:example -- --count=2\n")));
  EXPECT_THAT(result.text, Not(HasSubstr("flagfile"))) << "a library's flag";
}

TEST(CommandLineTest, VersionExitsZero) {
  const Result result = RunExample("--version");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.text, VersionString() + "\n");
}

TEST(CommandLineTest, UnknownFlagExitsTwoAndNamesTheNearest) {
  const Result result = RunForErrors("--cuont=3");
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.text,
              HasSubstr("unknown flag --cuont; did you mean --count?"));
  EXPECT_THAT(RunExample("--cuont=3").text, IsEmpty());
}

TEST(CommandLineTest, BadAndMissingValuesExitTwo) {
  const Result bad = RunForErrors("--count=many");
  EXPECT_EQ(bad.exit_code, kExitUsage);
  EXPECT_THAT(bad.text, AllOf(HasSubstr("'many'"), HasSubstr("--count"),
                              HasSubstr("How many, 0 or more.")));
  const Result missing = RunForErrors("--count");
  EXPECT_EQ(missing.exit_code, kExitUsage);
  EXPECT_THAT(missing.text, HasSubstr("--count needs a value"));
}

TEST(CommandLineTest, RelativePathsMeanTheUsersDirectory) {
  const std::string dir = std::filesystem::canonical(NewTestDir()).string();
  const Result result =
      RunShell("BUILD_WORKING_DIRECTORY=" + dir + " " + Example());
  EXPECT_THAT(result.text, HasSubstr(" cwd=" + dir + "\n"));
  const Result missing =
      RunShell("BUILD_WORKING_DIRECTORY=/none " + Example() + " 2>&1");
  EXPECT_EQ(missing.exit_code, kExitUsage);
  EXPECT_THAT(missing.text, HasSubstr("/none"));
}

TEST(CommandLineTest, StatusBecomesAnExitCodeAndAnErrorLine) {
  const Result failure = RunForErrors("--count=0");
  EXPECT_EQ(failure.exit_code, kExitFailure);
  EXPECT_EQ(failure.text, "error: nothing to count\n");
  EXPECT_EQ(RunForErrors("--count=-1").exit_code, kExitUsage);
}

TEST(FindSiblingBinaryTest, MissingOneIsEmpty) {
  EXPECT_THAT(FindSiblingBinary("base/no_such_binary"), IsEmpty());
}

TEST(NearestNameTest, HasTheSmallestEditDistance) {
  EXPECT_EQ(NearestName("tempreature", {"temperature", "batch_size"}),
            "temperature");
  EXPECT_EQ(NearestName("lr", {"seed", "lr"}), "lr");
  EXPECT_EQ(NearestName("x", {}), "");
}

}  // namespace
}  // namespace kodistil
