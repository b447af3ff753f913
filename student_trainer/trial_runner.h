// Runs trials from their descriptions to trained students among the artifacts.

#ifndef KODISTIL_STUDENT_TRAINER_TRIAL_RUNNER_H_
#define KODISTIL_STUDENT_TRAINER_TRIAL_RUNNER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "artifacts/artifact_client.h"
#include "base/access.h"
#include "base/files.h"
#include "corpus/dataset.h"
#include "corpus/token_cache.h"
#include "kodistil/v1/coordinator.pb.h"
#include "student_trainer/training_loop.h"
#include "student_trainer/watchdog.h"

namespace kodistil {

struct TrialRunnerOptions {
  // Holds tokens/, logits/, checkpoints/; workers of a machine share it.
  std::string cache_dir;
  // As TrainOptions.
  std::string device = "cpu";
  int threads = 1;
  // Version of the program, for the student's provenance.
  std::string build;
  // Of the connections to the logit store.
  AccessOptions access;
  // Looks after the trainings; borrowed.
  Watchdog* watchdog = nullptr;
};

// A trial to run, and whom to tell about it.
struct TrialTask {
  v1::LeasedTrial trial;
  ProgressCallback progress;
};

// How a task has ended.
using TaskDone =
    std::function<void(size_t task, absl::StatusOr<v1::TrialResult> result)>;

// Not thread-safe. Borrows the artifacts.
class TrialRunner {
 public:
  TrialRunner(const TrialRunnerOptions& options,
              const ArtifactClient* artifacts);

  // Fetches what the trials need, the checkpoints that the coordinator has kept
  // of them included where there is none of as many epochs here; trains, sends
  // the students' files. Trials whose batches are the same are trained
  // together, others after one another. Calls `done` once for each, with a
  // complete result, as soon as it has ended: with CANCELLED when its progress
  // returned false; FAILED_PRECONDITION when dataset or logits are not those
  // that it names; else as ArtifactClient, TokenizedDataset, LogitSnapshot and
  // TrainStudent.
  void Run(const std::vector<TrialTask>& tasks, const TaskDone& done);

  // What the trial's last epoch left here. NOT_FOUND when there is none.
  absl::StatusOr<MappedFile> OpenCheckpoint(const std::string& trial_id) const;

  // Removes the checkpoint of a trial that is over.
  absl::Status DropCheckpoint(const std::string& trial_id) const;

 private:
  absl::StatusOr<Dataset> FetchDataset(const v1::TrialInputs& inputs);
  absl::StatusOr<TokenizedDataset> OpenTokens(const v1::LeasedTrial& trial,
                                              absl::string_view vocab);
  // Runs tasks that share their batches: their positions in `tasks`.
  using Group = std::vector<size_t>;
  void RunGroup(const std::vector<TrialTask>& tasks, const Group& group,
                const TaskDone& done);
  absl::Status TryRunGroup(const std::vector<TrialTask>& tasks,
                           const Group& group, const TaskDone& done);
  // Takes the time of single rows.
  absl::Status MeasureStudent(const v1::LeasedTrial& trial,
                              const std::vector<std::vector<int32_t>>& rows,
                              TrainOutcome* outcome) const;
  absl::Status Export(const v1::LeasedTrial& trial, absl::string_view vocab,
                      TrainOutcome* outcome) const;
  std::string CheckpointDir(const std::string& trial_id) const;
  // Brings the checkpoint that the coordinator has kept, if there is one with
  // more epochs than the one here. Without it training begins earlier.
  void BringCheckpoint(const v1::LeasedTrial& trial) const;

  const TrialRunnerOptions options_;
  const ArtifactClient& artifacts_;
  // The dataset of the last trial, which a sweep's trials mostly share. Its
  // rows are not kept: training reads tokens alone.
  struct DatasetFacts {
    std::string digest;
    std::string fingerprint;
    size_t rows = 0;
    int num_classes = 0;
  };
  DatasetFacts dataset_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRIAL_RUNNER_H_
