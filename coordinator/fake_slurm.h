// Commands that answer like Slurm's, for tests without one.

#ifndef KODISTIL_COORDINATOR_FAKE_SLURM_H_
#define KODISTIL_COORDINATOR_FAKE_SLURM_H_

#include <string>
#include <vector>

namespace kodistil {

// Puts an sbatch, squeue and scancel of its own into PATH, while it lives. Jobs
// get the ids 1, 2, ... Not thread-safe.
class FakeSlurm {
 public:
  FakeSlurm();
  ~FakeSlurm();

  // What squeue prints from now on; "" as of jobs that it has forgotten.
  void Show(const std::string& tasks);
  // From now on the command fails, saying so.
  void Break(const std::string& command, const std::string& error);
  void Repair(const std::string& command);
  // The commands run so far with their arguments, squeue left out.
  std::vector<std::string> Calls() const;

 private:
  void Write(const std::string& command, const std::string& script);

  const std::string folder_;
  std::string path_;  // the variable as it was
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_FAKE_SLURM_H_
