// What a teacher's folder is, and how fast it would label: for people and, as
// JSON, for programs.

#ifndef KODISTIL_TEACHER_SERVICE_DESCRIBE_H_
#define KODISTIL_TEACHER_SERVICE_DESCRIBE_H_

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "teacher_service/teacher_model.h"

namespace kodistil {

struct DescribeOptions {
  TeacherModelOptions model;
  std::string output = "table";  // or "json"
  // As BatcherOptions::max_batch_tokens; 0 for the device's default.
  int max_batch_tokens = 0;
  // How long the probe computes, at least one batch; zero for no probe.
  absl::Duration probe = absl::Seconds(2);

  absl::Status Validate() const;
};

// What a probe measured, on made-up reviews whose lengths are those of NSMC's
// (Naver's film reviews; 35 characters on average). KoELECTRA's vocabulary
// takes 21 tokens a row for them, and 20 for NSMC's own.
struct ProbeResult {
  // The slower of computing and encoding, which overlap where rows are
  // labelled.
  double rows_per_second = 0;
  double encoded_rows_per_second = 0;
  int64_t rows = 0;           // computed
  double tokens_per_row = 0;  // 1 for a model without tokens
  absl::Duration elapsed;     // computing
};

struct TeacherDescription {
  TeacherInfo info;
  // By class; empty where config.json names none.
  std::vector<std::string> class_names;
  // Pieces of the vocabulary, n-grams of an n-gram model; 0 when unknown.
  int64_t vocab_size = 0;
  std::string container;                  // "safetensors", "PyTorch stream"
  std::string weights_digest;             // 64 hexadecimal digits
  std::map<std::string, int64_t> dtypes;  // values of each, tied ones once
  uint64_t weights_bytes = 0;
  uint64_t folder_bytes = 0;  // of all files beside the weights too
  ProbeResult probe;          // of zeros without one
};

// Loads the teacher and measures it. Errors of LoadTeacherModel and
// OpenWeights.
absl::StatusOr<TeacherDescription> DescribeTeacher(
    const DescribeOptions& options);

// The text of --output: a small aligned table, or a JSON object.
std::string FormatDescription(const TeacherDescription& description,
                              const std::string& output);

// Both of the above.
absl::Status PrintDescription(const DescribeOptions& options,
                              std::ostream& out);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_DESCRIBE_H_
