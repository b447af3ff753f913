// A worker: leases trials from a coordinator, trains them, returns the
// students.

#ifndef KODISTIL_STUDENT_TRAINER_WORKER_H_
#define KODISTIL_STUDENT_TRAINER_WORKER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "kodistil/v1/coordinator.pb.h"
#include "student_trainer/training_loop.h"

namespace kodistil {

struct WorkerOptions {
  // host:port.
  std::string coordinator;
  // Datasets, tokens, logits and checkpoints; workers of a machine share it.
  std::string cache_dir;
  // Threads of all trainings together, 1 or more.
  int threads = 1;
  // Trials that the worker asks for at once, trained together over the same
  // batches; 0 for one a thread, and one on a GPU.
  int pack = 0;
  // "cpu", "cuda:N", or "auto" for a GPU if there is one. On CPU results are
  // the same wherever the instruction set is the same.
  std::string device = "cpu";
  // What the coordinator calls the worker; "host/pid" when empty.
  std::string name;
  // How long a coordinator that cannot be reached is asked again.
  absl::Duration coordinator_timeout = absl::Minutes(5);
  // Ends the worker when there was nothing to do for so long.
  absl::Duration idle_exit = absl::InfiniteDuration();
  // A training that makes no step for so long, and for five times as long as
  // its longest step, hangs: the process ends with kExitRetry, so that its
  // leases run out. Infinite for never.
  absl::Duration hang_timeout = absl::Minutes(10);
  // Version of the program, for the students' provenance.
  std::string build = "unknown";
  // Of the connections to the coordinator and to the logit store.
  AccessOptions access;
  // Told of every progress, from the training thread; for tests, which let it
  // hang or die there.
  std::function<void(const v1::LeasedTrial&, const TrainProgress&)> on_progress;

  absl::Status Validate() const;
};

enum class WorkerEnd {
  kFinished,  // the coordinator has no more work, or idle_exit has passed
  kStopped,   // `stop` was notified; trials in progress were given back
};

// Works until the sweep is over. When `stop` is notified, training stops after
// the current step, the last epoch's checkpoint is kept for whoever goes on,
// and the trials are given back. A trial that fails is reported and ends
// neither the worker nor the trials beside it. UNAVAILABLE when the coordinator
// could not be reached for too long, INVALID_ARGUMENT for bad options.
absl::StatusOr<WorkerEnd> RunWorker(const WorkerOptions& options,
                                    const absl::Notification& stop);

// What a worker ends with when it would end so every time it is started with
// this configuration: its certificate, token or program is not the one that the
// coordinator wants. Kubernetes fails the index of the Job at once.
inline constexpr int kExitConfiguration = 42;

// The exit code of a worker: 0 for an end that needs no other worker, 75 for
// one that was stopped, 2 for a wrong command line, kExitConfiguration, or 1
// for an error that may pass. Prints the error.
int WorkerExitCode(const absl::StatusOr<WorkerEnd>& end);

// $XDG_CACHE_HOME/kodistil/worker or ~/.cache/kodistil/worker; empty when the
// environment names neither.
std::string DefaultCacheDir();

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_WORKER_H_
