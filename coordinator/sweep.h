// A whole sweep: dataset, vocabularies, teacher, labels, trials, table.

#ifndef KODISTIL_COORDINATOR_SWEEP_H_
#define KODISTIL_COORDINATOR_SWEEP_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "base/metrics_endpoint.h"
#include "coordinator/dashboard.h"
#include "coordinator/results.h"
#include "corpus/dataset_reader.h"
#include "kodistil/v1/sweep.pb.h"

namespace kodistil {

// In SweepOptions.teachers: whatever servers register.
inline constexpr char kRegisteredTeachers[] = "registered";
// In SweepOptions.launch.
inline constexpr char kLaunchLocal[] = "local";
inline constexpr char kLaunchSlurm[] = "slurm";
inline constexpr char kLaunchPrint[] = "print";

struct SweepOptions {
  DatasetOptions dataset;
  v1::SweepSpec spec;
  // Holds everything: store, ledger, artefacts, students, logs, results.
  std::string work_dir = "work";
  // "ngram" (trained here) or folders of models; an axis of the grid. Not used
  // with `teachers`.
  std::vector<std::string> teacher_path = {"ngram"};
  // The axis where it is not each of teacher_path: "A", "A+B" or "0.7*A+0.3*B",
  // see teacher_axis.h. Not used with `teachers`.
  std::vector<std::string> teacher;
  // TorchScript files are code: only load what you trust.
  bool allow_torchscript = false;
  // Folder of the MeCab dictionary for teachers whose vocabulary is one of
  // morphemes; empty for none.
  std::string mecab_dicdir;
  // host:port of teacher servers that run elsewhere, or "registered"; all serve
  // one model. Servers of a wanted model that register are used in any case.
  std::vector<std::string> teachers;
  // host:port of a logit store that runs elsewhere; empty for one of our own.
  std::string logit_store;
  // Where `workers` and `teacher_workers` run: "local"ly, or as jobs of
  // "slurm"; "print" shows those jobs and starts nothing.
  std::string launch = kLaunchLocal;
  // Options of sbatch, as SlurmOptions has them.
  std::string sbatch_args;
  std::string teacher_sbatch_args;
  // host:port where workers elsewhere find the coordinator; empty for loopback
  // and any port, or with Slurm every address.
  std::string listen;
  // What workers elsewhere call this machine; empty for the host of `listen`.
  std::string advertise;
  // Worker processes; -1 for one per core of this machine.
  int workers = -1;
  // Threads of one worker.
  int threads = 1;
  // Cells that one worker trains together over the same batches, at most; 0
  // for one a thread.
  int pack = 0;
  // Teacher servers.
  int teacher_workers = 1;
  // "cpu", "auto" or "cuda:N".
  std::string device = "cpu";
  // Vocabularies in the seed's layout; empty to train them.
  std::string tokenizer_dir;
  // Accepts a dataset most of whose texts differ from those of the same name in
  // the store, and trains the n-gram teacher anew for it.
  bool replace_dataset = false;
  // Ends the sweep once more cells have failed; -1 never does.
  int max_failed = -1;
  absl::Duration lease = absl::Seconds(30);
  // How often workers report; at most a third of the lease.
  absl::Duration heartbeat = absl::Seconds(1);
  // A local worker whose training makes no step for so long ends.
  absl::Duration hang_timeout = absl::Minutes(10);
  // Disk for checkpoints that workers elsewhere go on from, in MiB; 0 keeps
  // none, and so does a sweep whose workers are all local: they share a folder.
  int64_t checkpoint_mb = 8192;
  // As drain_grace and drain of ServerOptions.
  absl::Duration drain_grace = absl::ZeroDuration();
  absl::Duration drain_limit = absl::Seconds(10);
  // Of all connections, those of the local processes included. Workers and
  // teachers elsewhere need certificates of the same authority.
  AccessOptions access;
  // Where the coordinator shows its metrics.
  MetricsEndpointOptions metrics;
  // Where browsers follow the sweep.
  DashboardOptions dashboard;
  // Stops after labelling: no trials.
  bool label_only = false;
  // Once the sweep is over, goes on answering workers and people until it is
  // told to stop: for engines that start again whatever ends.
  bool stay = false;

  absl::Status Validate() const;
  // Host and port of `listen`; INVALID_ARGUMENT when it is not host:port.
  absl::StatusOr<std::pair<std::string, int>> ListenAddress() const;
};

struct SweepOutcome {
  SweepResults results;
  int trained = 0;  // cells trained in this run
  int failed = 0;   // cells without a result
  // Why the training of cells ended before all had ended; OK when it did not.
  absl::Status status;
};

// Runs what is missing of the sweep and writes results.* into the work folder.
// CANCELLED, here or in the outcome, once `stopped` returns true (what is done
// stays done); the other errors name what went wrong and where. `show` gets the
// outcome before a sweep that stays does so.
absl::StatusOr<SweepOutcome> RunSweep(
    const SweepOptions& options, const std::function<bool()>& stopped,
    const std::function<void(const SweepOutcome&)>& show);

// What the command line does: RunSweep until SIGINT or SIGTERM, then the table
// on stdout as `output` ("table", "json", "csv" or "markdown") and a closing
// line on stderr. Returns the exit code: 0, 1 when a cell has failed, 2 for
// wrong options, 130 when SIGINT stopped it, 75 (try again) when SIGTERM did.
// Call BlockStopSignals first.
int RunSweepCommand(const SweepOptions& options, const std::string& output);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_H_
