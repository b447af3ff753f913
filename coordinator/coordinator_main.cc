// The coordinator: runs a sweep, alone or with processes elsewhere.

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "base/drain_flags.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/explain.h"
#include "coordinator/grid.h"
#include "coordinator/lease_flags.h"
#include "coordinator/sweep.h"
#include "coordinator/sweep_flags.h"
#include "corpus/dataset_flags.h"

using kodistil::SweepOptions;

ABSL_FLAG(bool, sweep, false, "Run the sweep: label, train, print the table");
ABSL_FLAG(bool, label_only, SweepOptions().label_only,
          "Stop once every row is labelled");
ABSL_FLAG(std::string, explain, "",
          "Say why the trial with this id is where it is, and exit");
ABSL_FLAG(std::string, spec, "",
          "A sweep in protobuf text format; flags replace its fields");
ABSL_FLAG(std::string, work_dir, SweepOptions().work_dir,
          "Folder that holds everything: store, ledger, students, results");
ABSL_FLAG(std::vector<std::string>, teacher_path, SweepOptions().teacher_path,
          "Axis: teachers; 'ngram' (trained here) or folders of models");
ABSL_FLAG(bool, allow_torchscript, SweepOptions().allow_torchscript,
          "Load TorchScript teachers (they are code)");
ABSL_FLAG(std::string, mecab_dicdir, SweepOptions().mecab_dicdir,
          "MeCab dictionary of teachers with a vocabulary of morphemes");
ABSL_FLAG(std::vector<std::string>, teachers, SweepOptions().teachers,
          "host:port of teacher servers that run elsewhere");
ABSL_FLAG(std::string, logit_store, SweepOptions().logit_store,
          "host:port of a logit store that runs elsewhere");
ABSL_FLAG(std::string, listen, SweepOptions().listen,
          "host:port where workers elsewhere join");
ABSL_FLAG(std::string, advertise, SweepOptions().advertise,
          "What workers elsewhere call this machine");
ABSL_FLAG(int, workers, SweepOptions().workers,
          "Local worker processes; -1 for one per core");
ABSL_FLAG(int, threads, SweepOptions().threads, "Threads of one worker");
ABSL_FLAG(int, pack, SweepOptions().pack,
          "Cells that a worker trains together, at most; 0: one a thread");
ABSL_FLAG(int, teacher_workers, SweepOptions().teacher_workers,
          "Local teacher servers");
ABSL_FLAG(std::string, device, SweepOptions().device,
          "cpu, auto or cuda:N, for teachers and workers");
ABSL_FLAG(std::string, tokenizer_dir, SweepOptions().tokenizer_dir,
          "Folder with vocab_size_N/vocab.txt; empty trains vocabularies");
ABSL_FLAG(bool, replace_dataset, SweepOptions().replace_dataset,
          "Label anew when the store holds another dataset of this name");
ABSL_FLAG(std::string, output, "table", "table, json, csv or markdown");
KODISTIL_DEFINE_DATASET_FLAGS();
KODISTIL_DEFINE_DRAIN_FLAGS();
KODISTIL_DEFINE_LEASE_FLAGS();
KODISTIL_DEFINE_SWEEP_FLAGS();

namespace {
absl::StatusOr<SweepOptions> OptionsFromFlags() {
  SweepOptions options;
  options.dataset = DatasetOptionsFromFlags();
  if (!absl::GetFlag(FLAGS_spec).empty()) {
    KODISTIL_ASSIGN_OR_RETURN(
        options.spec, kodistil::ReadSpecFile(absl::GetFlag(FLAGS_spec)));
  }
  KODISTIL_RETURN_IF_ERROR(kodistil::ApplySweepFlags(&options.spec));
  options.label_only = absl::GetFlag(FLAGS_label_only);
  options.work_dir = absl::GetFlag(FLAGS_work_dir);
  options.teacher_path = absl::GetFlag(FLAGS_teacher_path);
  options.allow_torchscript = absl::GetFlag(FLAGS_allow_torchscript);
  options.mecab_dicdir = absl::GetFlag(FLAGS_mecab_dicdir);
  options.teachers = absl::GetFlag(FLAGS_teachers);
  options.logit_store = absl::GetFlag(FLAGS_logit_store);
  options.listen = absl::GetFlag(FLAGS_listen);
  options.advertise = absl::GetFlag(FLAGS_advertise);
  options.workers = absl::GetFlag(FLAGS_workers);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.pack = absl::GetFlag(FLAGS_pack);
  options.teacher_workers = absl::GetFlag(FLAGS_teacher_workers);
  options.device = absl::GetFlag(FLAGS_device);
  options.tokenizer_dir = absl::GetFlag(FLAGS_tokenizer_dir);
  options.replace_dataset = absl::GetFlag(FLAGS_replace_dataset);
  LeaseFromFlags(&options);
  DrainFromFlags(&options.drain_grace, &options.drain_limit);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  kodistil::BlockStopSignals();
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //coordinator --",
       "Distils a teacher into a grid of small students: labels the dataset, "
       "trains every cell that has no result yet, prints the results table.",
       {"bazel run //coordinator -- --sweep",
        "bazel run //coordinator -- --sweep --student=small --loss_rate=0"}});
  if (!absl::GetFlag(FLAGS_explain).empty()) {
    return kodistil::RunExplainCommand(absl::GetFlag(FLAGS_work_dir),
                                       absl::GetFlag(FLAGS_explain));
  }
  if (!absl::GetFlag(FLAGS_sweep) && !absl::GetFlag(FLAGS_label_only)) {
    return kodistil::ExitCodeOf(
        absl::InvalidArgumentError("nothing to do: give --sweep (or --help)"));
  }
  const auto options = OptionsFromFlags();
  if (!options.ok()) return kodistil::ExitCodeOf(options.status());
  return kodistil::RunSweepCommand(*options, absl::GetFlag(FLAGS_output));
}
