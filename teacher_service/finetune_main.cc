// Fine-tunes a teacher, or pretrains one.

#include <atomic>
#include <iostream>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "corpus/dataset_flags.h"
#include "corpus/dataset_reader.h"
#include "teacher_service/finetune_flags.h"
#include "teacher_service/finetuner.h"

KODISTIL_DEFINE_DATASET_FLAGS();
KODISTIL_DEFINE_FINETUNE_FLAGS();

namespace kodistil {
namespace {

std::string ProgressOf(const FinetuneRecord& record, int64_t total_steps) {
  return absl::StrFormat("step %s of %s (%.0f %%)  loss %.4f  %.0f rows/s",
                         WithCommas(record.step), WithCommas(total_steps),
                         100.0 * record.step / total_steps, record.loss,
                         record.rows_per_second);
}

std::string EvaluationOf(const FinetuneRecord& record) {
  return absl::StrFormat("step %s, epoch %.2f: %s loss %.4f, accuracy %.2f %%",
                         WithCommas(record.step), record.epoch, record.split,
                         record.loss, 100 * record.accuracy);
}

void PrintReport(const FinetuneOptions& options, const FinetuneReport& report) {
  std::cout << absl::StrFormat("%s %s steps in %.1f s; weights of step %s\n",
                               report.was_done ? "done before:" : "trained",
                               WithCommas(report.steps), report.seconds,
                               WithCommas(report.best_step));
  if (report.valid_accuracy >= 0) {
    std::cout << absl::StrFormat("valid accuracy: %.2f %%\n",
                                 100 * report.valid_accuracy);
  }
  if (report.test_accuracy >= 0) {
    std::cout << absl::StrFormat("test accuracy: %d/%d (%.2f %%)\n",
                                 report.test_correct, report.test_total,
                                 100 * report.test_accuracy);
  }
  std::cout << "model: " << options.output << "\n";
}

absl::Status Train(const std::atomic<bool>& stop) {
  KODISTIL_ASSIGN_OR_RETURN(const FinetuneOptions options,
                            FinetuneOptionsFromFlags());
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  ReadReport read;
  KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset,
                            ReadDataset(DatasetOptionsFromFlags(), &read));
  SayLine(DescribeSkipped(read));
  ProgressLine progress;
  FinetuneHooks hooks;
  hooks.say = [&](const std::string& line) { progress.Print(line); };
  hooks.stopped = [&] { return stop.load(); };
  hooks.record = [&](const FinetuneRecord& record, int64_t total_steps) {
    if (record.split == "train") {
      progress.Update(ProgressOf(record, total_steps));
    } else {
      progress.Print(EvaluationOf(record));
    }
  };
  KODISTIL_ASSIGN_OR_RETURN(const FinetuneReport report,
                            Finetune(options, dataset, hooks));
  PrintReport(options, report);
  return absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::BlockStopSignals();
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //teacher_service:finetune --",
       "Fine-tunes a Hugging Face folder for classification, or trains one "
       "from a config.json, on this machine. Interrupted, the same command "
       "goes on where it was; SIGTERM keeps the state and exits with 75.",
       {"bazel run //teacher_service:finetune -- --model=koelectra-small-v3 "
        "--new_head --dataset=nsmc --data_dir=data/nsmc --output=teacher",
        "bazel run //teacher_service:finetune -- --config=config.json "
        "--from_scratch --pretrain=mlm --dataset=reviews.txt "
        "--output=pretrained"}});
  // Never deleted: the thread may outlive main's end.
  auto* stop = new std::atomic<bool>(false);
  std::thread([stop] {
    kodistil::WaitForStopSignal();
    kodistil::SayLine("stopping after this step; again to stop at once");
    *stop = true;
  }).detach();
  const absl::Status status = kodistil::Train(*stop);
  const int code = kodistil::ExitCodeOf(status);
  return absl::IsCancelled(status) ? kodistil::kExitRetry : code;
}
