// Reads a dataset in any format, shows what it holds, and writes its canonical
// file.

#include <algorithm>
#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/dataset_flags.h"
#include "corpus/dataset_reader.h"

KODISTIL_DEFINE_DATASET_FLAGS();
ABSL_FLAG(std::string, output, "",
          "Canonical file (*.kds) to write; empty for none.");
ABSL_FLAG(int64_t, print_rows, 0,
          "Print this many rows from the first on: index, split, label, text.");

namespace kodistil {
namespace {

void PrintSummary(const Dataset& dataset) {
  std::printf("name         %s\nrows         %zu\n", dataset.name.c_str(),
              dataset.rows.size());
  for (const Split split :
       {Split::kTrain, Split::kValid, Split::kTest, Split::kNone}) {
    const size_t count = dataset.IndicesOf(split).size();
    if (split == Split::kNone && count == 0) continue;
    std::printf("%-12s %zu\n", std::string(SplitName(split)).c_str(), count);
  }
  std::printf("classes      %d\n", dataset.num_classes);
  for (int label = kNoLabel; label < dataset.num_classes; ++label) {
    const auto count =
        std::count_if(dataset.rows.begin(), dataset.rows.end(),
                      [&](const Row& row) { return row.label == label; });
    if (label == kNoLabel && count == 0) continue;
    const std::string name =
        label == kNoLabel ? "unlabelled" : "label " + std::to_string(label);
    std::printf("%-12s %zu\n", name.c_str(), static_cast<size_t>(count));
  }
  std::printf("fingerprint  %s\n", dataset.Fingerprint().c_str());
}

void PrintRows(const Dataset& dataset, int64_t count) {
  for (size_t i = 0; i < dataset.rows.size(); ++i) {
    if (static_cast<int64_t>(i) >= count) return;
    const Row& row = dataset.rows[i];
    std::printf("%zu\t%s\t%d\t%s\n", i,
                std::string(SplitName(row.split)).c_str(), row.label,
                row.text.c_str());
  }
}

absl::Status Run() {
  ReadReport report;
  KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset,
                            ReadDataset(DatasetOptionsFromFlags(), &report));
  PrintSummary(dataset);
  std::printf("skipped      %lld\n", static_cast<long long>(report.skipped));
  std::fputs(DescribeSkipped(report).c_str(), stdout);
  PrintRows(dataset, absl::GetFlag(FLAGS_print_rows));
  const std::string output = absl::GetFlag(FLAGS_output);
  if (output.empty()) return absl::OkStatus();
  return WriteFileAtomically(output, SerializeDataset(dataset));
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //corpus:make_dataset --",
       "Reads a dataset, prints its rows per split and its fingerprint, and "
       "writes its canonical file.",
       {"bazel run //corpus:make_dataset -- --dataset=sample --output=s.kds",
        "bazel run //corpus:make_dataset -- --dataset=nsmc --data_dir=nsmc",
        "bazel run //corpus:make_dataset -- "
        "--dataset=csv:reviews.csv --split_mode=sklearn"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
