// How fast a teacher labels on this machine, against padded batches.

#include <cstdlib>
#include <string>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "teacher_service/inference_benchmark.h"

ABSL_FLAG(std::string, config, kodistil::InferenceBenchmarkOptions().config,
          "koelectra-small, koelectra-base, or a config.json of BERT or "
          "ELECTRA.");
ABSL_FLAG(int64_t, rows, kodistil::InferenceBenchmarkOptions().rows,
          "Rows to label.");
ABSL_FLAG(int64_t, batch_tokens,
          kodistil::InferenceBenchmarkOptions().batch_tokens,
          "Tokens of a batch without padding.");
ABSL_FLAG(int64_t, padded_rows,
          kodistil::InferenceBenchmarkOptions().padded_rows,
          "Rows of a padded batch, in the dataset's order.");
ABSL_FLAG(int, threads, kodistil::InferenceBenchmarkOptions().threads,
          "Threads; 0 for one per core.");
ABSL_FLAG(bool, padded, kodistil::InferenceBenchmarkOptions().padded,
          "Compare with padded batches too.");

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  ParseCommandLine(
      argc, argv,
      {"bazel run -c opt //teacher_service:inference_benchmark --",
       "Labels rows with a teacher of random weights and prints rows a second "
       "and the share of sgemm's speed, beside padded batches in the dataset's "
       "order. On NSMC's rows when KODISTIL_DATA names the folder of data, "
       "else on rows of such lengths.",
       {"bazel run -c opt //teacher_service:inference_benchmark -- "
        "--config=koelectra-small",
        "bazel run -c opt //teacher_service:inference_benchmark -- "
        "--config=koelectra-base --rows=400"}});
  InferenceBenchmarkOptions options;
  options.config = absl::GetFlag(FLAGS_config);
  options.rows = absl::GetFlag(FLAGS_rows);
  options.batch_tokens = absl::GetFlag(FLAGS_batch_tokens);
  options.padded_rows = absl::GetFlag(FLAGS_padded_rows);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.padded = absl::GetFlag(FLAGS_padded);
  const char* data = std::getenv("KODISTIL_DATA");
  if (data != nullptr) options.data_dir = data;
  return ExitCodeOf(RunInferenceBenchmark(options));
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
