// Times the store against what a program would do without one.

#ifndef KODISTIL_LOGIT_STORE_STORE_BENCHMARK_H_
#define KODISTIL_LOGIT_STORE_STORE_BENCHMARK_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"

namespace kodistil {

struct StoreBenchmarkOptions {
  // 1,000 to 10,000,000.
  int rows = 500000;
  // Of each operation; the median counts. 1 to 100.
  int repeats = 3;
  // Loads the same rows from a pickle; empty leaves that out.
  std::string python = "python3";

  absl::Status Validate() const;
};

// Prints a table. Its files lie in the temporary folder and are removed.
absl::Status RunStoreBenchmark(const StoreBenchmarkOptions& options,
                               std::ostream* out);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_STORE_BENCHMARK_H_
