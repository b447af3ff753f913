// What the coordinator remembers of a teacher between runs, so that a finished
// sweep starts no teacher.

#ifndef KODISTIL_COORDINATOR_TEACHER_RECORD_H_
#define KODISTIL_COORDINATOR_TEACHER_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kodistil {

struct TeacherRecord {
  std::string name;
  std::string fingerprint;
  int num_classes = 2;
  uint64_t parameters = 0;
  // Tokens after which it cuts a row; 0 when it does not.
  uint32_t max_length = 0;
  // Names, sizes and modification times of the folder's files when the
  // fingerprint was taken; empty for a teacher that runs elsewhere.
  std::string signature;
  double train_seconds = 0;
  // Labelling so far, all runs together.
  double label_seconds = 0;
  int64_t rows_labelled = 0;
  // The dataset whose rows were all labelled last, and the test rows right.
  std::string dataset_fingerprint;
  std::string dataset_digest;
  uint64_t correct = 0;
  uint64_t total = 0;
};

// NOT_FOUND when there is none, DATA_LOSS when the file is damaged.
absl::StatusOr<TeacherRecord> LoadTeacherRecord(const std::string& path);
absl::Status SaveTeacherRecord(const TeacherRecord& record,
                               const std::string& path);

// Names, sizes and modification times of the files in `folder`, as one line.
absl::StatusOr<std::string> FolderSignature(const std::string& folder);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TEACHER_RECORD_H_
