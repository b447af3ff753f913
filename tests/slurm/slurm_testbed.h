// A Slurm of two nodes on this machine, for tests.

#ifndef KODISTIL_TESTS_SLURM_SLURM_TESTBED_H_
#define KODISTIL_TESTS_SLURM_SLURM_TESTBED_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/process.h"
#include "coordinator/slurm_commands.h"

namespace kodistil {

// The real munged, slurmctld and two slurmd, "n1" and "n2", with one CPU each.
// All that they write is in a folder of their own, and nothing of them, nor of
// what they have started, is left at the end. Not thread-safe.
class SlurmTestbed {
 public:
  // FAILED_PRECONDITION saying how to install Slurm where it is not, or that it
  // needs root. DEADLINE_EXCEEDED with the logs when the nodes do not come up.
  static absl::StatusOr<std::unique_ptr<SlurmTestbed>> Start();
  ~SlurmTestbed();

  // For the processes that are to use this Slurm.
  std::map<std::string, std::string> Environment() const;

  // Runs one of Slurm's commands; returns its output.
  absl::StatusOr<std::string> Run(const std::string& command,
                                  const std::vector<std::string>& args);
  // All tasks of arrays that it knows.
  std::vector<SlurmTask> Tasks();

  // As if the node had lost its power: slurmd and all that runs there is gone
  // at once. Returns how many processes that were, slurmd left out.
  int KillNode(const std::string& node);

  // Kills whatever is left, which the destructor does too.
  void Stop();
  // Processes that were started with this Slurm's configuration.
  std::vector<int> Processes() const;
  // The ends of the daemons' logs.
  std::string Logs() const;

 private:
  explicit SlurmTestbed(std::string folder) : folder_(std::move(folder)) {}

  absl::Status StartDaemons();
  absl::Status StartDaemon(const std::string& name, const std::string& binary,
                           const std::vector<std::string>& args);
  absl::Status WaitUntilIdle();
  std::string In(const std::string& name) const;

  const std::string folder_;
  std::map<std::string, std::unique_ptr<Process>> daemons_;
};

}  // namespace kodistil

#endif  // KODISTIL_TESTS_SLURM_SLURM_TESTBED_H_
