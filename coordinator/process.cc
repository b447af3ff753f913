#include "coordinator/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/status_macros.h"

extern char** environ;

namespace kodistil {
namespace {

constexpr size_t kLogTailBytes = 16 << 10;

std::vector<std::string> ChildEnvironment(const ProcessOptions& options) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    // A child's relative paths are ours, not those of `bazel run`.
    if (name == "BUILD_WORKING_DIRECTORY") continue;
    if (options.environment.count(name) == 0) result.push_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    result.push_back(absl::StrCat(name, "=", value));
  }
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>* strings) {
  std::vector<char*> pointers;
  for (std::string& text : *strings) pointers.push_back(&text[0]);
  pointers.push_back(nullptr);
  return pointers;
}

// Runs in the child between fork and exec: async-signal-safe calls alone.
[[noreturn]] void ExecChild(char* const* argv, char* const* envp, int output_fd,
                            int log_fd, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the parent died before the prctl
  const int null_fd = open("/dev/null", O_RDONLY);
  dup2(null_fd, 0);
  dup2(output_fd, 1);
  dup2(log_fd, 2);
  close_range(3, ~0U, 0);
  execve(argv[0], argv, envp);
  _exit(127);
}

absl::StatusOr<int> OpenForWriting(const std::string& path, int how) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, 0644);
  if (fd >= 0) return fd;
  return absl::PermissionDeniedError(
      absl::StrCat("cannot write the log ", path, ": ", strerror(errno)));
}

}  // namespace

Process::Process(ProcessOptions options, pid_t pid)
    : options_(std::move(options)), pid_(pid), started_(absl::Now()) {}

absl::StatusOr<std::unique_ptr<Process>> Process::Start(
    const ProcessOptions& options) {
  if (access(options.binary.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat(options.name, ": cannot execute '", options.binary, "'"));
  }
  KODISTIL_ASSIGN_OR_RETURN(const int log_fd,
                            OpenForWriting(options.log_path, O_APPEND));
  int output_fd = log_fd;
  if (!options.output_path.empty()) {
    const auto output = OpenForWriting(options.output_path, O_TRUNC);
    if (!output.ok()) close(log_fd);
    KODISTIL_RETURN_IF_ERROR(output.status());
    output_fd = *output;
  }
  std::vector<std::string> args = options.args;
  args.insert(args.begin(), options.binary);
  std::vector<std::string> environment = ChildEnvironment(options);
  const std::vector<char*> argv = Pointers(&args);
  const std::vector<char*> envp = Pointers(&environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    ExecChild(argv.data(), envp.data(), output_fd, log_fd, parent);
  }
  const int error = errno;
  if (output_fd != log_fd) close(output_fd);
  close(log_fd);
  if (pid < 0) {
    return absl::InternalError(
        absl::StrCat("cannot start ", options.name, ": ", strerror(error)));
  }
  return std::unique_ptr<Process>(new Process(options, pid));
}

Process::~Process() {
  if (!Running()) return;
  Signal(SIGKILL);
  Wait();
}

bool Process::Reap(bool block) {
  if (!running_) return true;
  int status = 0;
  pid_t result;
  do {
    result = waitpid(pid_, &status, block ? 0 : WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result == 0) return false;
  running_ = false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

bool Process::Running() { return !Reap(/*block=*/false); }

void Process::Wait() { Reap(/*block=*/true); }

std::string Process::ExitText() const {
  if (running_) return "is running";
  if (exit_code_ > 128) {
    return absl::StrCat("was killed by signal ", exit_code_ - 128);
  }
  return absl::StrCat("exited with ", exit_code_);
}

void Process::Signal(int signal) {
  if (Running()) kill(pid_, signal);
}

void Process::Stop(absl::Duration patience) {
  Signal(SIGTERM);
  const absl::Time end = absl::Now() + patience;
  while (Running() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  Signal(SIGKILL);
  Wait();
}

std::string LogTail(const std::string& path, int lines) {
  // Mapped: a worker of days has a long log.
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return "";
  absl::string_view text = file->bytes();
  if (text.size() > kLogTailBytes) {
    text.remove_prefix(text.size() - kLogTailBytes);
  }
  std::vector<std::string> all = absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (static_cast<int>(all.size()) > lines) {
    all.erase(all.begin(), all.end() - lines);
  }
  return absl::StrJoin(all, "\n");
}

}  // namespace kodistil
