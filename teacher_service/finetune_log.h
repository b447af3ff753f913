// The log of a fine-tuning run: train.jsonl, a JSON object a line. No LibTorch
// here.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_LOG_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_LOG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "teacher_service/finetuner.h"

namespace kodistil {

// Not thread-safe.
class FinetuneLog {
 public:
  // Opens or makes `path`, keeping the records of up to `step` steps: what an
  // interrupted run did after its last state is done again. Records that are
  // not JSON (cut short by a crash) are dropped with those after them.
  static absl::StatusOr<FinetuneLog> Open(const std::string& path,
                                          int64_t step);

  // Appends a line. INTERNAL naming the file.
  absl::Status Append(const FinetuneRecord& record);

 private:
  explicit FinetuneLog(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// {"split":"train","step":10,"epoch":0.1,"loss":0.69,...}; what was not
// measured is left out.
std::string RecordJson(const FinetuneRecord& record);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_LOG_H_
