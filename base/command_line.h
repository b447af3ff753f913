// What every *_main.cc does the same way: flags, --help, --version, logging,
// working directory, exit codes.

#ifndef KODISTIL_BASE_COMMAND_LINE_H_
#define KODISTIL_BASE_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace kodistil {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRetry = 75;

struct ProgramInfo {
  // As the user types it: "bazel run //logit_store:query --".
  std::string command;
  // One or two sentences.
  std::string description;
  // Whole command lines, two or more.
  std::vector<std::string> examples;
  // Whether the program takes arguments that are no flags; else one exits 2.
  bool takes_arguments = false;
};

// Sets the flags from argv and returns the other arguments. Accepts
// --name=value, --name value, --flag and --noflag for booleans, and "--" as the
// end of flags. --help prints every flag defined in the program's main with its
// default and exits 0; --version exits 0; an unknown flag or a bad value exits
// 2 and names the nearest flag or the value expected. Afterwards the working
// directory is the one where the user typed the command
// (BUILD_WORKING_DIRECTORY under `bazel run`), and glog writes to stderr, as
// text or JSON (--log_format, base/log.h).
std::vector<std::string> ParseCommandLine(int argc, char** argv,
                                          const ProgramInfo& info);

// 0 for OK; else prints "error: message" to stderr and returns kExitUsage for
// INVALID_ARGUMENT, kExitFailure for the rest.
int ExitCodeOf(const absl::Status& status);

// The version that --version prints: "kodistil 0.1.0".
std::string VersionString();

// Another binary of the project, such as "teacher_service/teacher_service",
// looked up in this binary's runfiles and beside it (the bazel-bin layout).
// Empty when it is not there.
std::string FindSiblingBinary(const std::string& relative_path);

// The name in `candidates` with the smallest edit distance to `name`; empty
// when there are none.
std::string NearestName(const std::string& name,
                        const std::vector<std::string>& candidates);

}  // namespace kodistil

#endif  // KODISTIL_BASE_COMMAND_LINE_H_
