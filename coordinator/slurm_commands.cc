#include "coordinator/slurm_commands.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr char kSubmit[] = "sbatch";
constexpr char kAsk[] = "squeue";
constexpr char kCancel[] = "scancel";
// A controller that does not answer keeps the commands for minutes.
constexpr absl::Duration kPatience = absl::Minutes(2);

// Empty when it is not there.
std::string InPath(const std::string& command) {
  const char* const path = std::getenv("PATH");
  if (path == nullptr) return "";
  for (const absl::string_view folder : absl::StrSplit(path, ':')) {
    const std::string candidate = JoinPath(folder, command);
    if (FileExists(candidate) && access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<SlurmCommands>> SlurmCommands::Find(
    const std::string& folder) {
  for (const char* command : {kSubmit, kAsk, kCancel}) {
    if (!InPath(command).empty()) continue;
    const char* const path = std::getenv("PATH");
    return absl::NotFoundError(
        absl::StrCat("--launch=slurm: found no ", command,
                     " in PATH=", path == nullptr ? "" : path,
                     ", expected Slurm's commands sbatch, squeue and scancel"));
  }
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(folder));
  return std::unique_ptr<SlurmCommands>(new SlurmCommands(folder));
}

std::string SlurmCommands::ErrorsOf(const std::string& command) const {
  const auto text = ReadFile(JoinPath(folder_, absl::StrCat(command, ".err")));
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

absl::StatusOr<std::unique_ptr<Process>> SlurmCommands::Start(
    const std::string& command, const std::vector<std::string>& args) const {
  ProcessOptions options;
  options.name = command;
  options.binary = InPath(command);
  options.args = args;
  options.log_path = JoinPath(folder_, absl::StrCat(command, ".err"));
  options.output_path = JoinPath(folder_, absl::StrCat(command, ".out"));
  KODISTIL_RETURN_IF_ERROR(RemoveAll(options.log_path));
  return Process::Start(options);
}

absl::StatusOr<std::string> SlurmCommands::Run(
    const std::string& command, const std::vector<std::string>& args) const {
  KODISTIL_ASSIGN_OR_RETURN(const auto process, Start(command, args));
  const absl::Time end = absl::Now() + kPatience;
  while (process->Running() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  if (process->Running()) {
    return absl::DeadlineExceededError(
        absl::StrCat(command, " ", absl::StrJoin(args, " "),
                     " does not end within ", absl::FormatDuration(kPatience)));
  }
  if (process->exit_code() != 0) {
    return absl::InternalError(
        absl::StrCat(command, " ", absl::StrJoin(args, " "), " ",
                     process->ExitText(), ": ", ErrorsOf(command)));
  }
  return ReadFile(process->options().output_path);
}

absl::StatusOr<std::string> SlurmCommands::Submit(
    const std::string& script, const std::vector<int>& tasks) {
  std::vector<std::string> args = {"--parsable"};
  if (!tasks.empty()) {
    args.push_back(absl::StrCat("--array=", absl::StrJoin(tasks, ",")));
  }
  args.push_back(script);
  KODISTIL_ASSIGN_OR_RETURN(const std::string output, Run(kSubmit, args));
  // "17" or "17;cluster", in the last line.
  const std::vector<std::string> lines =
      absl::StrSplit(output, '\n', absl::SkipWhitespace());
  const std::string id =
      lines.empty() ? "" : lines.back().substr(0, lines.back().find(';'));
  uint64_t number = 0;
  if (!absl::SimpleAtoi(id, &number)) {
    return absl::InternalError(absl::StrCat(
        "sbatch ", absl::StrJoin(args, " "), ": found '",
        absl::StripAsciiWhitespace(output), "', expected the id of a job"));
  }
  return absl::StrCat(number);
}

absl::Status SlurmCommands::Cancel(const std::vector<std::string>& jobs) {
  if (jobs.empty()) return absl::OkStatus();
  // Quiet: those that have ended already are no error.
  std::vector<std::string> args = {"--quiet"};
  args.insert(args.end(), jobs.begin(), jobs.end());
  return Run(kCancel, args).status();
}

absl::Status SlurmCommands::Ask(const std::vector<std::string>& jobs) {
  squeue_ = nullptr;
  asked_ = absl::Now();
  KODISTIL_ASSIGN_OR_RETURN(
      squeue_, Start(kAsk, {"-h", "-r", "-t", "all", "-o", "%i|%T|%N|%r", "-j",
                            absl::StrJoin(jobs, ",")}));
  return absl::OkStatus();
}

absl::optional<absl::StatusOr<std::vector<SlurmTask>>> SlurmCommands::Answer() {
  using Tasks = absl::StatusOr<std::vector<SlurmTask>>;
  if (squeue_ == nullptr) return absl::nullopt;
  if (squeue_->Running()) {
    if (absl::Now() - asked_ < kPatience) return absl::nullopt;
    squeue_ = nullptr;
    return Tasks(absl::DeadlineExceededError(absl::StrCat(
        "squeue does not end within ", absl::FormatDuration(kPatience))));
  }
  const std::unique_ptr<Process> ended = std::move(squeue_);
  if (ended->exit_code() != 0) {
    const std::string errors = ErrorsOf(kAsk);
    // What it says of one job that it has forgotten; of several it leaves that
    // one out.
    if (absl::StrContains(errors, "Invalid job id")) {
      return Tasks(std::vector<SlurmTask>());
    }
    return Tasks(absl::InternalError(
        absl::StrCat("squeue ", ended->ExitText(), ": ", errors)));
  }
  const auto output = ReadFile(ended->options().output_path);
  if (!output.ok()) return Tasks(output.status());
  return Tasks(ParseSqueue(*output));
}

std::vector<SlurmTask> ParseSqueue(const std::string& output) {
  std::vector<SlurmTask> tasks;
  for (const absl::string_view line : absl::StrSplit(output, '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, '|');
    if (fields.size() < 4) continue;
    const std::vector<std::string> id = absl::StrSplit(fields[0], '_');
    SlurmTask task;
    if (id.size() != 2 || !absl::SimpleAtoi(id[1], &task.index)) continue;
    task.job = id[0];
    task.state = fields[1];
    task.node = fields[2];
    task.reason = fields[3];
    tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace kodistil
