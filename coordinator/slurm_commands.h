// Slurm's commands: sbatch, squeue, scancel.

#ifndef KODISTIL_COORDINATOR_SLURM_COMMANDS_H_
#define KODISTIL_COORDINATOR_SLURM_COMMANDS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "coordinator/process.h"

namespace kodistil {

// A task of a job array, as squeue shows it.
struct SlurmTask {
  std::string job;  // of the array
  int index = 0;
  std::string state;  // "RUNNING", see squeue(1)
  std::string node;   // empty while it waits
  std::string reason;
};

// Not thread-safe.
class SlurmCommands {
 public:
  // `folder` gets what the commands print. NOT_FOUND naming the command that is
  // not in PATH.
  static absl::StatusOr<std::unique_ptr<SlurmCommands>> Find(
      const std::string& folder);

  // Submits a script, or of its array these tasks alone; returns the job's id.
  // INTERNAL quotes what sbatch says.
  absl::StatusOr<std::string> Submit(const std::string& script,
                                     const std::vector<int>& tasks);
  // Jobs that are unknown are OK.
  absl::Status Cancel(const std::vector<std::string>& jobs);

  // Asks how the tasks of these jobs are, without waiting; drops an earlier
  // question.
  absl::Status Ask(const std::vector<std::string>& jobs);
  bool asking() const { return squeue_ != nullptr; }
  // Drops the question: what it will say is out of date.
  void Forget() { squeue_ = nullptr; }
  // nullopt until squeue has answered. Tasks that Slurm has forgotten are not
  // in the answer. INTERNAL when it could not be asked.
  absl::optional<absl::StatusOr<std::vector<SlurmTask>>> Answer();

 private:
  explicit SlurmCommands(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<std::unique_ptr<Process>> Start(
      const std::string& command, const std::vector<std::string>& args) const;
  // To its end; returns its output.
  absl::StatusOr<std::string> Run(const std::string& command,
                                  const std::vector<std::string>& args) const;
  std::string ErrorsOf(const std::string& command) const;

  const std::string folder_;
  std::unique_ptr<Process> squeue_;
  absl::Time asked_;
};

// Lines of squeue -o '%i|%T|%N|%r' with -r; what is no task of an array is left
// out.
std::vector<SlurmTask> ParseSqueue(const std::string& output);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SLURM_COMMANDS_H_
