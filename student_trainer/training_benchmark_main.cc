// How fast students train on this machine, against LibTorch.

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "student_trainer/training_benchmark.h"

ABSL_FLAG(std::vector<std::string>, students,
          kodistil::TrainingBenchmarkOptions().students,
          "Of large, base, small, mini and tiny.");
ABSL_FLAG(absl::Duration, time, kodistil::TrainingBenchmarkOptions().time,
          "For each student, all engines together.");
ABSL_FLAG(absl::Duration, turn, kodistil::TrainingBenchmarkOptions().turn,
          "Engines take turns so long; the best turn counts.");
ABSL_FLAG(int, batch_size, kodistil::TrainingBenchmarkOptions().batch_size,
          "Rows a step.");
ABSL_FLAG(bool, libtorch, kodistil::TrainingBenchmarkOptions().libtorch,
          "Compare with LibTorch too.");

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  ParseCommandLine(
      argc, argv,
      {"bazel run -c opt //student_trainer:training_benchmark --",
       "Prints training speed by student and engine, on NSMC's rows when "
       "KODISTIL_DATA names the folder of data, else on rows of such lengths.",
       {"bazel run -c opt //student_trainer:training_benchmark --",
        "bazel run -c opt //student_trainer:training_benchmark -- "
        "--students=base,tiny --time=1m"}});
  TrainingBenchmarkOptions options;
  options.students = absl::GetFlag(FLAGS_students);
  options.time = absl::GetFlag(FLAGS_time);
  options.turn = absl::GetFlag(FLAGS_turn);
  options.batch_size = absl::GetFlag(FLAGS_batch_size);
  options.libtorch = absl::GetFlag(FLAGS_libtorch);
  const char* data = std::getenv("KODISTIL_DATA");
  if (data != nullptr) options.data_dir = data;
  return ExitCodeOf(RunTrainingBenchmark(options));
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
