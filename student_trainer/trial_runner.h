// Runs one trial from its description to a trained student among the
// artifacts.

#ifndef KODISTIL_STUDENT_TRAINER_TRIAL_RUNNER_H_
#define KODISTIL_STUDENT_TRAINER_TRIAL_RUNNER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "artifacts/artifact_client.h"
#include "corpus/dataset.h"
#include "kodistil/v1/coordinator.pb.h"
#include "student_trainer/training_loop.h"

namespace kodistil {

struct TrialRunnerOptions {
  // Holds tokens/, logits/, checkpoints/; workers of a machine share it.
  std::string cache_dir;
  // As TrainOptions.
  std::string engine = "fast";
  std::string device = "cpu";
  int threads = 1;
  // Version of the program, for the student's provenance.
  std::string build;
};

// Not thread-safe. Borrows the artifacts.
class TrialRunner {
 public:
  TrialRunner(const TrialRunnerOptions& options,
              const ArtifactClient* artifacts);

  // Fetches what the trial needs, trains, sends the student's files. The result
  // is complete. CANCELLED when `progress` returned false; FAILED_PRECONDITION
  // when dataset or logits are not those that the trial names; else as
  // ArtifactClient, TokenizedDataset, LogitSnapshot and TrainStudent.
  absl::StatusOr<v1::TrialResult> Run(const v1::LeaseTrialResponse& lease,
                                      const ProgressCallback& progress);

  // Removes the checkpoint of a trial that is over.
  absl::Status DropCheckpoint(const std::string& trial_id) const;

 private:
  absl::Status LoadDataset(const v1::TrialInputs& inputs);
  absl::StatusOr<TrainOutcome> Train(const v1::LeaseTrialResponse& lease,
                                     absl::string_view vocab,
                                     const ProgressCallback& progress);
  absl::Status Export(const v1::LeaseTrialResponse& lease,
                      absl::string_view vocab, TrainOutcome* outcome) const;
  std::string CheckpointDir(const std::string& trial_id) const;

  const TrialRunnerOptions options_;
  const ArtifactClient& artifacts_;
  // Of the last trial: a sweep's trials mostly share it.
  std::string dataset_digest_;
  Dataset dataset_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_TRIAL_RUNNER_H_
