// Trains the n-gram teacher and writes its folder.

#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/dataset_flags.h"
#include "corpus/dataset_reader.h"
#include "teacher_service/ngram_model.h"
#include "teacher_service/ngram_trainer.h"

KODISTIL_DEFINE_DATASET_FLAGS();
ABSL_FLAG(std::string, dataset_file, "",
          "canonical dataset file (*.kds) to train on, in place of --dataset");
ABSL_FLAG(std::string, output, "", "folder of the trained model");
ABSL_FLAG(int, min_n, kodistil::NgramTrainOptions().shape.min_n,
          "characters of the shortest n-gram");
ABSL_FLAG(int, max_n, kodistil::NgramTrainOptions().shape.max_n,
          "characters of the longest n-gram");
ABSL_FLAG(int, min_rows, kodistil::NgramTrainOptions().min_rows,
          "leaves out n-grams of fewer training rows");
ABSL_FLAG(double, cost, kodistil::NgramTrainOptions().cost,
          "LIBLINEAR's C, the weight of the loss against the penalty");
ABSL_FLAG(double, tolerance, kodistil::NgramTrainOptions().tolerance,
          "LIBLINEAR's stopping tolerance");
ABSL_FLAG(int, folds, kodistil::NgramTrainOptions().folds,
          "models, each trained without one part of the rows");
ABSL_FLAG(int, threads, kodistil::NgramTrainOptions().threads,
          "models trained at a time; 0 for one per core");

namespace kodistil {
namespace {

absl::StatusOr<Dataset> ReadInput() {
  const std::string path = absl::GetFlag(FLAGS_dataset_file);
  if (path.empty()) {
    ReadReport report;
    KODISTIL_ASSIGN_OR_RETURN(Dataset dataset,
                              ReadDataset(DatasetOptionsFromFlags(), &report));
    SayLine(DescribeSkipped(report));
    return dataset;
  }
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return ParseDataset(file.bytes(), path);
}

absl::Status Main() {
  const std::string output = absl::GetFlag(FLAGS_output);
  if (output.empty()) {
    return absl::InvalidArgumentError(
        "--output is empty: expected the folder of the trained model");
  }
  NgramTrainOptions options;
  options.shape.min_n = absl::GetFlag(FLAGS_min_n);
  options.shape.max_n = absl::GetFlag(FLAGS_max_n);
  options.min_rows = absl::GetFlag(FLAGS_min_rows);
  options.cost = absl::GetFlag(FLAGS_cost);
  options.tolerance = absl::GetFlag(FLAGS_tolerance);
  options.folds = absl::GetFlag(FLAGS_folds);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.progress = [](const std::string& line) { SayLine(line); };
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_RETURN_IF_ERROR(CheckNgramOutput(output));
  KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset, ReadInput());
  const absl::Time start = absl::Now();
  KODISTIL_ASSIGN_OR_RETURN(const NgramParameters parameters,
                            TrainNgramModel(dataset, options));
  KODISTIL_RETURN_IF_ERROR(SaveNgramModel(parameters, output));
  std::cout << absl::StrFormat(
      "trained on %d rows of %s in %.1f s: %d n-grams, %d folds\n",
      parameters.train_rows, dataset.name,
      absl::ToDoubleSeconds(absl::Now() - start), parameters.hashes.size(),
      parameters.folds);
  const NgramScorer scorer(parameters);
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
    const NgramAccuracy accuracy = MeasureNgramAccuracy(scorer, dataset, split);
    if (accuracy.total == 0) continue;
    std::cout << absl::StrFormat(
        "%s accuracy%s: %d/%d (%.2f %%)\n", SplitName(split),
        split == Split::kTrain ? ", cross-fitted" : "", accuracy.correct,
        accuracy.total, 100.0 * accuracy.correct / accuracy.total);
  }
  std::cout << "model: " << output << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //teacher_service:train_ngram --",
       "Trains the n-gram teacher on the training rows of a dataset and prints "
       "its accuracy on every split.",
       {"bazel run //teacher_service:train_ngram -- "
        "--dataset_file=work/dataset.kds --output=work/ngram",
        "bazel run //teacher_service:train_ngram -- --dataset=nsmc "
        "--data_dir=data/nsmc --output=work/ngram"}});
  return kodistil::ExitCodeOf(kodistil::Main());
}
