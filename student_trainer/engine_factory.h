// Chooses what trains a student.

#ifndef KODISTIL_STUDENT_TRAINER_ENGINE_FACTORY_H_
#define KODISTIL_STUDENT_TRAINER_ENGINE_FACTORY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "student_trainer/student_engine.h"

namespace kodistil {

struct EngineOptions {
  // "fast": our own vector code, on CPU; "torch": LibTorch, the reference.
  // Their results differ in the last bits. Devices other than the CPU always
  // have "torch".
  std::string engine = "fast";
  // "cpu" or "cuda:N".
  std::string device = "cpu";
  // 1 to 1024, of which "fast" uses two at most.
  int threads = 1;

  // The engine that these options lead to.
  std::string Resolved() const;
  absl::Status Validate() const;
};

// As FastStudent::Create and StudentNetwork::Create; INVALID_ARGUMENT for bad
// options. The number of threads of "torch" is the process's.
absl::StatusOr<std::unique_ptr<StudentEngine>> CreateStudentEngine(
    const StudentShape& shape, const EngineOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_ENGINE_FACTORY_H_
