#include "teacher_service/teacher_model.h"

#include "absl/strings/str_cat.h"

namespace kodistil {

absl::Status TeacherModelOptions::Validate() const {
  if (model_dir.empty()) {
    return absl::InvalidArgumentError(
        "no model (--model): expected the folder of a teacher");
  }
  if (max_length < 0 || threads < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        max_length < 0 ? "max_length" : "threads", " is ",
        max_length < 0 ? max_length : threads, ", expected 0 or more"));
  }
  return absl::OkStatus();
}

}  // namespace kodistil
