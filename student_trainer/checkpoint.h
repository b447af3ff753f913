// A training run's checkpoint: one file, written atomically, checksummed.

#ifndef KODISTIL_STUDENT_TRAINER_CHECKPOINT_H_
#define KODISTIL_STUDENT_TRAINER_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kodistil/v1/sweep.pb.h"

namespace kodistil {

struct Checkpoint {
  // SHA-256, raw, of all that the weights depend on; another run's checkpoint
  // has another one.
  std::string run;
  // epochs, selected_epoch, train_seconds and history so far.
  v1::TrialResult result;
  int64_t adam_steps = 0;
  // Each [P], in the order of StudentShape::Tensors(); `best` is the selected
  // epoch's.
  std::vector<float> parameters, best, adam_mean, adam_square;
};

// <folder>/checkpoint.kckpt.
std::string CheckpointPath(const std::string& folder);

absl::Status WriteCheckpoint(const Checkpoint& checkpoint,
                             const std::string& folder);

// NOT_FOUND when there is none, DATA_LOSS when it is damaged,
// FAILED_PRECONDITION when it is of another run, UNIMPLEMENTED when it is of a
// newer program, which may go on with it; each names the file.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& folder,
                                          const std::string& run);

// Finished epochs of the checkpoint there, of whatever run. Errors as
// ReadCheckpoint.
absl::StatusOr<uint32_t> CheckpointEpochs(const std::string& folder);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_CHECKPOINT_H_
