// What the programs of a sweep are told on their command lines, wherever they
// run.

#ifndef KODISTIL_COORDINATOR_PART_ARGS_H_
#define KODISTIL_COORDINATOR_PART_ARGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/access.h"

namespace kodistil {

struct TeacherSource {
  std::string model;  // a folder or a TorchScript file
  bool allow_torchscript = false;
  std::string mecab_dicdir;  // empty for none
};

struct WorkerSettings {
  // Threads of one worker.
  int threads = 1;
  // Trials that a worker trains at once; 0 for its own choice.
  int pack = 0;
  // "cpu", "auto" or "cuda:N".
  std::string device = "cpu";
  // How long a training may make no step.
  absl::Duration hang_timeout = absl::Minutes(10);
};

// The flags of base/access_flags.h; `server`: those of servers too.
std::vector<std::string> AccessArgs(const AccessOptions& access, bool server);

// Of //teacher_service, without where it listens.
std::vector<std::string> TeacherArgs(const TeacherSource& teacher,
                                     const std::string& store_address,
                                     const std::string& device);

// Of //student_trainer, without its name and cache.
std::vector<std::string> WorkerArgs(const WorkerSettings& settings,
                                    const std::string& coordinator);

// "OMP_NUM_THREADS" and the like: the variables that keep a worker's libraries
// to its threads.
std::vector<std::string> ThreadVariables();

// The program beside this one; NOT_FOUND saying how to build it.
absl::StatusOr<std::string> FindPart(const std::string& binary);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_PART_ARGS_H_
