// The batch scripts that a sweep gives to Slurm.

#ifndef KODISTIL_COORDINATOR_SLURM_SCRIPT_H_
#define KODISTIL_COORDINATOR_SLURM_SCRIPT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cluster.h"

namespace kodistil {

// Options of sbatch besides ours, after which they stand: "--partition=cpu
// --time=8:00:00". They are quoted as sbatch wants them.
struct SlurmOptions {
  // Of every job.
  std::string sbatch_args;
  // Of the teachers' job alone.
  std::string teacher_sbatch_args;

  // INVALID_ARGUMENT names the flag and what it holds.
  absl::Status Validate() const;
};

// A job array whose tasks are alike. Slurm starts the script for each.
struct SlurmScript {
  // "workers" or "teachers": the name of the job and of its file.
  std::string what;
  int tasks = 0;
  std::string text;
};

// Workers called "slurm/JOB_TASK" that end when the coordinator has no more
// work. NOT_FOUND when their program is missing.
absl::StatusOr<SlurmScript> WorkersScript(const ClusterOptions& cluster,
                                          const SlurmOptions& slurm, int count);

// Teachers that register at the coordinator. They ask for a GPU unless the
// device is "cpu"; workers do for "cuda:N" alone, since most students are
// small.
absl::StatusOr<SlurmScript> TeachersScript(const ClusterOptions& cluster,
                                           const SlurmOptions& slurm,
                                           const TeacherSource& teacher,
                                           const std::string& store_address,
                                           int count);

// The name that the worker of a task gives itself.
std::string SlurmWorkerName(const std::string& job, const std::string& task);
// Where the output of a task goes; "%A" and "%a" stand for all of them.
std::string SlurmLogPath(const std::string& work_dir, const std::string& what,
                         const std::string& job, const std::string& task);
std::string SlurmScriptPath(const std::string& work_dir,
                            const std::string& what);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SLURM_SCRIPT_H_
