#include "coordinator/process.h"

#include <signal.h>

#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

ProcessOptions Shell(const std::string& script) {
  ProcessOptions options;
  options.name = "shell";
  options.binary = "/bin/sh";
  options.args = {"-c", script};
  options.log_path = JoinPath(NewTestDir(), "log");
  return options;
}

TEST(ProcessTest, KeepsTheExitCodeAndTheOutput) {
  ASSERT_OK_AND_ASSIGN(const auto process,
                       Process::Start(Shell("echo one; echo two; exit 3")));
  process->Wait();
  EXPECT_FALSE(process->Running());
  EXPECT_EQ(process->exit_code(), 3);
  EXPECT_EQ(process->ExitText(), "exited with 3");
  EXPECT_EQ(LogTail(process->options().log_path, /*lines=*/1), "two");
}

TEST(ProcessTest, KeepsStdoutApart) {
  ProcessOptions options = Shell("echo out; echo err >&2");
  options.output_path = options.log_path + ".out";
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto process, Process::Start(options));
    process->Wait();
  }
  EXPECT_EQ(*ReadFile(options.output_path), "out\n") << "of the second alone";
  EXPECT_EQ(*ReadFile(options.log_path), "err\nerr\n");
}

TEST(ProcessTest, NamesTheSignal) {
  ASSERT_OK_AND_ASSIGN(const auto process, Process::Start(Shell("kill -9 $$")));
  process->Wait();
  EXPECT_EQ(process->ExitText(), "was killed by signal 9");
}

TEST(ProcessTest, StopKillsWhatIgnoresSigterm) {
  ASSERT_OK_AND_ASSIGN(
      const auto process,
      Process::Start(Shell("trap '' TERM; while true; do read x; done")));
  process->Stop(absl::Milliseconds(50));
  EXPECT_FALSE(process->Running());
}

TEST(ProcessTest, PassesTheEnvironment) {
  ProcessOptions options = Shell("echo value=$KODISTIL_TEST");
  options.environment["KODISTIL_TEST"] = "7";
  ASSERT_OK_AND_ASSIGN(const auto process, Process::Start(options));
  process->Wait();
  EXPECT_EQ(LogTail(options.log_path, /*lines=*/1), "value=7");
}

TEST(ProcessTest, MissingBinaryIsNotFound) {
  ProcessOptions options = Shell("");
  options.binary = "/no/such/program";
  EXPECT_THAT(Process::Start(options), StatusIs(absl::StatusCode::kNotFound,
                                                HasSubstr("/no/such/program")));
}

}  // namespace
}  // namespace kodistil
