// How fast the store is, against a hash map in memory and a pickle in Python.

#include <cstdint>
#include <iostream>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "logit_store/store_benchmark.h"

ABSL_FLAG(int, rows, kodistil::StoreBenchmarkOptions().rows,
          "rows of two classes");
ABSL_FLAG(int, repeats, kodistil::StoreBenchmarkOptions().repeats,
          "how often each operation is timed; the median counts");
ABSL_FLAG(std::string, python, kodistil::StoreBenchmarkOptions().python,
          "interpreter for the pickle; empty leaves it out");

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //logit_store:store_benchmark --",
       "Times the logit store, embedded and over gRPC, a hash map in memory, "
       "and a pickle in Python, all with the same rows.",
       {"bazel run //logit_store:store_benchmark --",
        "bazel run //logit_store:store_benchmark -- --rows=200000 "
        "--repeats=5"}});
  kodistil::StoreBenchmarkOptions options;
  options.rows = absl::GetFlag(FLAGS_rows);
  options.repeats = absl::GetFlag(FLAGS_repeats);
  options.python = absl::GetFlag(FLAGS_python);
  return kodistil::ExitCodeOf(kodistil::RunStoreBenchmark(options, &std::cout));
}
