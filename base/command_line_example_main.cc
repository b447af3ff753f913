// A program for command_line_test: prints its flags, arguments and directory.

#include <glog/logging.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "base/command_line.h"
#include "base/log.h"

ABSL_FLAG(std::string, name, "nobody", "Who it is.");
ABSL_FLAG(int, count, 3, "How many, 0 or more.");
ABSL_FLAG(bool, verbose, true, "Whether to say more.");
ABSL_FLAG(bool, log, false, "Writes log lines to stderr.");

namespace {

void WriteLogLines() {
  const kodistil::ScopedLogContext trial({"abc", 2, ""});
  LOG(INFO) << "one \"line\"\nof two";
  std::thread other([] {
    const kodistil::ScopedLogContext request({"", 0, "r-7"});
    LOG(WARNING) << "\xff of another thread, 한글";
  });
  other.join();
  {
    const kodistil::ScopedLogContext inner({"", 0, "r-8"});
    LOG(ERROR) << "inner";
  }
  kodistil::SayLine("to a person\nin two lines");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> rest =
      kodistil::ParseCommandLine(argc, argv,
                                 {"bazel run //base:example --",
                                  "Prints its flags.",
                                  {"bazel run //base:example -- --name=a",
                                   "bazel run //base:example -- --count=2"},
                                  /*takes_arguments=*/true});
  char directory[4096];
  if (getcwd(directory, sizeof(directory)) == nullptr) return 1;
  std::printf("name=%s count=%d verbose=%d cwd=%s\n",
              absl::GetFlag(FLAGS_name).c_str(), absl::GetFlag(FLAGS_count),
              absl::GetFlag(FLAGS_verbose), directory);
  for (const std::string& argument : rest) {
    std::printf("argument=%s\n", argument.c_str());
  }
  if (absl::GetFlag(FLAGS_log)) WriteLogLines();
  if (absl::GetFlag(FLAGS_count) < 0) {
    return kodistil::ExitCodeOf(absl::InvalidArgumentError("count is below 0"));
  }
  return kodistil::ExitCodeOf(absl::GetFlag(FLAGS_count) == 0
                                  ? absl::NotFoundError("nothing to count")
                                  : absl::OkStatus());
}
