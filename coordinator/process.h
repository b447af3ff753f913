// Child processes of the coordinator: started, watched, restarted, stopped.

#ifndef KODISTIL_COORDINATOR_PROCESS_H_
#define KODISTIL_COORDINATOR_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace kodistil {

struct ProcessOptions {
  std::string name;               // for people and for the log file
  std::string binary;             // absolute path
  std::vector<std::string> args;  // without argv[0]
  std::string log_path;           // stdout and stderr are appended to it
  std::string output_path;        // stdout alone, anew; empty for the log
  std::map<std::string, std::string> environment;  // added to ours
};

// One child process. It dies with the thread that started it, by SIGKILL, so
// that a killed coordinator leaves nothing behind. It is in a process group of
// its own: Ctrl-C reaches the coordinator alone. Not thread-safe.
class Process {
 public:
  // NOT_FOUND when the binary is not there, INTERNAL when it cannot be started.
  static absl::StatusOr<std::unique_ptr<Process>> Start(
      const ProcessOptions& options);
  // Kills the process if it still runs.
  ~Process();

  // Whether it runs; false forever after it has ended.
  bool Running();
  // After the end: "exited with 1" or "killed by signal 9".
  std::string ExitText() const;
  // Exit status after the end: the code, or 128 + signal.
  int exit_code() const { return exit_code_; }
  // SIGTERM, then SIGKILL after `patience`.
  void Stop(absl::Duration patience);
  void Signal(int signal);
  // Waits for the end.
  void Wait();

  const ProcessOptions& options() const { return options_; }
  pid_t pid() const { return pid_; }
  absl::Time started() const { return started_; }

 private:
  Process(ProcessOptions options, pid_t pid);
  bool Reap(bool block);

  const ProcessOptions options_;
  const pid_t pid_;
  const absl::Time started_;
  bool running_ = true;
  int exit_code_ = -1;
};

// The last `lines` lines of a log file, at most 16 KiB of them, for people;
// empty when there is none.
std::string LogTail(const std::string& path, int lines);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_PROCESS_H_
