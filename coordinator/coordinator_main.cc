// The coordinator: runs a sweep, alone or with processes elsewhere.

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "base/drain_flags.h"
#include "base/metrics_flags.h"
#include "base/status_macros.h"
#include "coordinator/cluster_flags.h"
#include "coordinator/dashboard_flags.h"
#include "coordinator/explain.h"
#include "coordinator/grid.h"
#include "coordinator/lease_flags.h"
#include "coordinator/status_command.h"
#include "coordinator/sweep.h"
#include "coordinator/sweep_flags.h"
#include "coordinator/teacher_flags.h"
#include "corpus/dataset_flags.h"

using kodistil::SweepOptions;
ABSL_FLAG(bool, sweep, false, "Run the sweep: label, train, print the table");
ABSL_FLAG(bool, label_only, SweepOptions().label_only,
          "Stop once every row is labelled");
ABSL_FLAG(bool, stay, SweepOptions().stay,
          "Once the sweep is over, answer workers until SIGTERM: for "
          "Kubernetes, which starts again whatever ends");
ABSL_FLAG(std::string, explain, "",
          "Say why the trial with this id is where it is, and exit");
ABSL_FLAG(bool, status, false,
          "Say how the running sweep stands and what would finish it sooner");
ABSL_FLAG(std::string, coordinator, "",
          "Of --status: host:port; empty for the sweep of --work_dir here");
ABSL_FLAG(std::string, spec, "",
          "A sweep in protobuf text format; flags replace its fields");
ABSL_FLAG(std::string, work_dir, SweepOptions().work_dir,
          "Folder that holds everything: store, ledger, students, results");
ABSL_FLAG(std::string, tokenizer_dir, SweepOptions().tokenizer_dir,
          "Folder with vocab_size_N/vocab.txt; empty trains vocabularies");
ABSL_FLAG(bool, replace_dataset, SweepOptions().replace_dataset,
          "Label anew when the store holds another dataset of this name");
ABSL_FLAG(std::string, output, "table", "table, json, csv or markdown");
KODISTIL_DEFINE_CLUSTER_FLAGS();
KODISTIL_DEFINE_DASHBOARD_FLAGS();
KODISTIL_DEFINE_DATASET_FLAGS();
KODISTIL_DEFINE_DRAIN_FLAGS();
KODISTIL_DEFINE_LEASE_FLAGS();
KODISTIL_DEFINE_METRICS_FLAGS();
KODISTIL_DEFINE_SWEEP_FLAGS();
KODISTIL_DEFINE_TEACHER_FLAGS();

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
  options.stay = absl::GetFlag(FLAGS_stay);
  options.work_dir = absl::GetFlag(FLAGS_work_dir);
  options.tokenizer_dir = absl::GetFlag(FLAGS_tokenizer_dir);
  options.replace_dataset = absl::GetFlag(FLAGS_replace_dataset);
  LeaseFromFlags(&options);
  ApplyClusterFlags(&options);
  TeachersFromFlags(&options);
  DrainFromFlags(&options.drain_grace, &options.drain_limit);
  options.metrics = MetricsFromFlags();
  options.dashboard = DashboardFromFlags(options.access.insecure);
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
                                       absl::GetFlag(FLAGS_explain),
                                       AccessFromFlags());
  }
  if (absl::GetFlag(FLAGS_status)) {
    return kodistil::RunStatusCommand(absl::GetFlag(FLAGS_coordinator),
                                      absl::GetFlag(FLAGS_work_dir),
                                      AccessFromFlags());
  }
  if (!absl::GetFlag(FLAGS_sweep) && !absl::GetFlag(FLAGS_label_only)) {
    return kodistil::ExitCodeOf(
        absl::InvalidArgumentError("nothing to do: give --sweep (or --help)"));
  }
  const auto options = OptionsFromFlags();
  if (!options.ok()) return kodistil::ExitCodeOf(options.status());
  return kodistil::RunSweepCommand(*options, absl::GetFlag(FLAGS_output));
}
