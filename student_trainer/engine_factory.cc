#include "student_trainer/engine_factory.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "student_trainer/fast_student.h"
#include "student_trainer/student_network.h"

namespace kodistil {

std::string EngineOptions::Resolved() const {
  return device == "cpu" ? engine : "torch";
}

absl::Status EngineOptions::Validate() const {
  if (engine != "fast" && engine != "torch") {
    return absl::InvalidArgumentError(
        absl::StrCat("engine is \"", engine, "\"; expected fast or torch"));
  }
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", threads, "; expected 1 to 1024"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StudentEngine>> CreateStudentEngine(
    const StudentShape& shape, const EngineOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  if (options.Resolved() == "fast") {
    return FastStudent::Create(shape, options.threads);
  }
  KODISTIL_RETURN_IF_ERROR(SetComputeThreads(options.threads));
  return StudentNetwork::Create(shape, options.device);
}

}  // namespace kodistil
