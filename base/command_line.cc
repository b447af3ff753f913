#include "base/command_line.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/log.h"

namespace kodistil {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr char kLogFormatFlag[] = "log_format";
constexpr char kLogFormatVariable[] = "KODISTIL_LOG_FORMAT";

// Flags of the program itself: those that its *_main.cc defines.
std::map<std::string, absl::CommandLineFlag*> OwnFlags() {
  std::map<std::string, absl::CommandLineFlag*> own;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::EndsWith(flag->Filename(), "_main.cc")) {
      own[std::string(name)] = flag;
    }
  }
  return own;
}

void PrintHelp(const ProgramInfo& info) {
  std::printf("%s\n\nUsage: %s [flags]%s\n\nExamples:\n",
              info.description.c_str(), info.command.c_str(),
              info.takes_arguments ? " [arguments]" : "");
  for (const std::string& example : info.examples) {
    std::printf("  %s\n", example.c_str());
  }
  std::printf("\nFlags:\n");
  for (const auto& [name, flag] : OwnFlags()) {
    const std::string value = flag->DefaultValue();
    std::printf("  --%s (default: %s)\n      %s\n", name.c_str(),
                value.empty() ? "\"\"" : value.c_str(), flag->Help().c_str());
  }
  std::printf(
      "  --log_format (default: text)\n      What log lines on stderr look "
      "like: text or json; KODISTIL_LOG_FORMAT where it is not given\n");
  std::printf("  --help\n      Print this and exit.\n");
  std::printf("  --version\n      Print the version and exit.\n");
}

[[noreturn]] void UsageError(const std::string& message) {
  SayLine(absl::StrCat("error: ", message, "\nRun with --help for all flags."),
          Severity::kError);
  std::exit(kExitUsage);
}

// The flag called `name`, or for "noX" the boolean flag X with *value "false".
absl::CommandLineFlag* FindFlag(
    const std::map<std::string, absl::CommandLineFlag*>& flags,
    const std::string& name, bool has_value, std::string* value) {
  const auto it = flags.find(name);
  if (it != flags.end()) return it->second;
  if (!has_value && absl::StartsWith(name, "no")) {
    const auto positive = flags.find(name.substr(2));
    if (positive != flags.end() && positive->second->IsOfType<bool>()) {
      *value = "false";
      return positive->second;
    }
  }
  return nullptr;
}

[[noreturn]] void UnknownFlag(
    const std::map<std::string, absl::CommandLineFlag*>& flags,
    const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, flag] : flags) names.push_back(known);
  names.push_back(kLogFormatFlag);
  const std::string nearest = NearestName(name, names);
  UsageError(absl::StrCat(
      "unknown flag --", name,
      nearest.empty() ? "" : absl::StrCat("; did you mean --", nearest, "?")));
}

void SetFlag(absl::CommandLineFlag* flag, const std::string& value) {
  std::string error;
  if (!flag->ParseFrom(value, &error)) {
    UsageError(absl::StrCat("bad value '", value, "' for --", flag->Name(),
                            error.empty() ? "" : ": ", error, " (",
                            flag->Help(), ")"));
  }
}

// Also for the processes that this one starts.
void ChooseLogFormat(const std::string& source, const std::string& name) {
  const absl::StatusOr<LogFormat> format = ParseLogFormat(name);
  if (!format.ok()) {
    UsageError(absl::StrCat(source, ": ", format.status().message()));
  }
  SetLogFormat(*format);
  setenv(kLogFormatVariable, name.c_str(), /*overwrite=*/1);
}

std::vector<std::string> SetFlags(int argc, char** argv,
                                  const ProgramInfo& info) {
  const auto flags = OwnFlags();
  std::vector<std::string> rest;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--") {
      rest.insert(rest.end(), argv + i + 1, argv + argc);
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      rest.push_back(argument);
      continue;
    }
    const size_t begin = argument[1] == '-' ? 2 : 1;
    const size_t equals = argument.find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name =
        argument.substr(begin, has_value ? equals - begin : std::string::npos);
    if (name == "help" || name == "h") {
      PrintHelp(info);
      std::exit(kExitOk);
    }
    if (name == "version") {
      std::printf("%s\n", VersionString().c_str());
      std::exit(kExitOk);
    }
    std::string value = has_value ? argument.substr(equals + 1) : "true";
    const bool is_log_format = name == kLogFormatFlag;
    absl::CommandLineFlag* flag =
        is_log_format ? nullptr : FindFlag(flags, name, has_value, &value);
    if (flag == nullptr && !is_log_format) UnknownFlag(flags, name);
    if (!has_value && (is_log_format || !flag->IsOfType<bool>())) {
      if (i + 1 >= argc) UsageError(absl::StrCat("--", name, " needs a value"));
      value = argv[++i];
    }
    if (is_log_format) {
      ChooseLogFormat("--log_format", value);
    } else {
      SetFlag(flag, value);
    }
  }
  return rest;
}

}  // namespace

std::vector<std::string> ParseCommandLine(int argc, char** argv,
                                          const ProgramInfo& info) {
  const char* log_format = getenv(kLogFormatVariable);
  if (log_format != nullptr) ChooseLogFormat(kLogFormatVariable, log_format);
  std::vector<std::string> rest = SetFlags(argc, argv, info);
  if (!info.takes_arguments && !rest.empty()) {
    UsageError(absl::StrCat("unexpected argument '", rest[0],
                            "'; lists are written with commas, no spaces"));
  }
  // gRPC's own log repeats as C++ internals what our statuses say.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  // While a client waits before it tries again, this poll alone looks at the
  // connection that is being made. gRPC's 5 s are all the time that a TLS
  // handshake has: a server that comes later would be found by luck.
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0);
  StartLogging(argv[0]);
  const char* directory = getenv("BUILD_WORKING_DIRECTORY");
  if (directory != nullptr && chdir(directory) != 0) {
    UsageError(absl::StrCat("cannot enter ", directory));
  }
  return rest;
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  SayLine(absl::StrCat("error: ", status.message()), Severity::kError);
  return status.code() == absl::StatusCode::kInvalidArgument ? kExitUsage
                                                             : kExitFailure;
}

std::string VersionString() { return absl::StrCat("kodistil ", kVersion); }

std::string FindSiblingBinary(const std::string& relative_path) {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  std::vector<std::filesystem::path> candidates = {
      std::filesystem::path(self.string() + ".runfiles") / "kodistil" /
          relative_path,
      self.parent_path().parent_path() / relative_path,
  };
  const char* runfiles = getenv("RUNFILES_DIR");
  if (runfiles != nullptr) {
    candidates.push_back(std::filesystem::path(runfiles) / "kodistil" /
                         relative_path);
  }
  for (const std::filesystem::path& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return "";
}

std::string NearestName(const std::string& name,
                        const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::string::npos;
  for (const std::string& candidate : candidates) {
    // Levenshtein distance, one row at a time.
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j < row.size(); ++j) {
        const size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1,
                           diagonal + (name[i - 1] != candidate[j - 1])});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace kodistil
