// How fast a teacher labels: what inference_benchmark prints.

#ifndef KODISTIL_TEACHER_SERVICE_INFERENCE_BENCHMARK_H_
#define KODISTIL_TEACHER_SERVICE_INFERENCE_BENCHMARK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kodistil {

struct InferenceBenchmarkOptions {
  // "koelectra-small", "koelectra-base", or a config.json of BERT or ELECTRA.
  std::string config = "koelectra-small";
  int64_t rows = 4000;
  // Tokens of a batch of ours, without padding.
  int64_t batch_tokens = 4096;
  // Rows of a batch of the seed's.
  int64_t padded_rows = 32;
  int threads = 0;  // 0 for one per core
  // Folder with nsmc/ratings_train.txt and koelectra/vocab.txt; empty for rows
  // of such lengths.
  std::string data_dir;
  // Compare with padded batches, which take most of the time.
  bool padded = true;

  absl::Status Validate() const;
};

// Prints a report to stdout. The weights are random. The contenders take turns
// on slices of the rows, so that what else the machine does meets both alike.
// DATA_LOSS when their logits differ.
absl::Status RunInferenceBenchmark(const InferenceBenchmarkOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_INFERENCE_BENCHMARK_H_
