// Training speed of a student, by engine: what training_benchmark prints.

#ifndef KODISTIL_STUDENT_TRAINER_TRAINING_BENCHMARK_H_
#define KODISTIL_STUDENT_TRAINER_TRAINING_BENCHMARK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace kodistil {

struct TrainingBenchmarkOptions {
  // Of large, base, small, mini and tiny.
  std::vector<std::string> students = {"large", "base", "small", "mini",
                                       "tiny"};
  // For a student, all engines together.
  absl::Duration time = absl::Seconds(30);
  // Engines take turns so long; the best turn counts. Short turns find the
  // quiet moments of a busy machine, which two threads need.
  absl::Duration turn = absl::Milliseconds(20);
  int batch_size = 64;
  // Folder with nsmc/ratings_train.txt and seed/tokenizer/vocab_size_3000;
  // empty for random rows of the same lengths.
  std::string data_dir;
  // Compare with LibTorch too, which takes most of the time.
  bool libtorch = true;

  absl::Status Validate() const;
};

// Prints a table to stdout. One thread is measured in processor time, the two
// in time on the wall.
absl::Status RunTrainingBenchmark(const TrainingBenchmarkOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRAINING_BENCHMARK_H_
