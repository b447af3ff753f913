// Prints how many rows of a dataset a trained student classifies right.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/log.h"
#include "corpus/dataset_flags.h"
#include "student_trainer/evaluator.h"

ABSL_FLAG(std::string, model, kodistil::EvaluatorOptions().model,
          "The student's folder: config.json, model.safetensors, vocab.txt, "
          "tokenizer_config.json.");
ABSL_FLAG(std::string, split, kodistil::EvaluatorOptions().split,
          "The rows to count: train, valid or test.");
ABSL_FLAG(
    std::string, kernel, kodistil::EvaluatorOptions().kernel,
    "What computes: fp32 or int8, the kernel that serving runs, or torch, "
    "LibTorch.");
ABSL_FLAG(int, threads, kodistil::EvaluatorOptions().threads,
          "Threads to compute with, 1 to 1024; for torch more than two do not "
          "help.");
ABSL_FLAG(std::string, cache_dir, kodistil::EvaluatorOptions().cache_dir,
          "Where the tokenised dataset is kept for the next run; empty for "
          "$XDG_CACHE_HOME/kodistil or ~/.cache/kodistil.");
KODISTIL_DEFINE_DATASET_FLAGS();

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  ParseCommandLine(
      argc, argv,
      {"bazel run //student_trainer:evaluate --",
       "Counts the rows of a dataset's split that a trained student "
       "classifies right. Prints correct/total, accuracy, the mean cross "
       "entropy, and rows per second, one a line.",
       {"bazel run //student_trainer:evaluate -- --model=work/students/best "
        "--dataset=nsmc --data_dir=nsmc",
        "bazel run //student_trainer:evaluate -- --model=student "
        "--dataset=test=reviews.tsv --kernel=int8 --threads=2"}});
  EvaluatorOptions options;
  options.model = absl::GetFlag(FLAGS_model);
  options.dataset = DatasetOptionsFromFlags();
  options.split = absl::GetFlag(FLAGS_split);
  options.kernel = absl::GetFlag(FLAGS_kernel);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.cache_dir = absl::GetFlag(FLAGS_cache_dir);
  ReadReport report;
  const absl::StatusOr<Evaluation> evaluation =
      EvaluateFolder(options, &report);
  if (report.skipped > 0) {
    SayLine(absl::StrCat(report.skipped, " bad rows skipped; the first:"));
    for (const SkippedRow& row : report.first_skipped) {
      SayLine(absl::StrCat(row.file, ":", row.line, ": ", row.reason));
    }
  }
  if (!evaluation.ok()) return ExitCodeOf(evaluation.status());
  std::printf(
      "correct %llu/%llu\naccuracy %.2f %%\nloss %.4f\n"
      "rows per second %.0f\n",
      static_cast<unsigned long long>(evaluation->correct),
      static_cast<unsigned long long>(evaluation->total),
      100.0 * evaluation->correct / evaluation->total, evaluation->loss,
      evaluation->rows_per_second);
  return kExitOk;
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
