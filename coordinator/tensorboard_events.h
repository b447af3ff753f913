// What a sweep's trials say to TensorBoard: the events, not where they go.

#ifndef KODISTIL_COORDINATOR_TENSORBOARD_EVENTS_H_
#define KODISTIL_COORDINATOR_TENSORBOARD_EVENTS_H_

#include <vector>

#include "absl/time/time.h"
#include "kodistil/v1/coordinator.pb.h"
#include "kodistil/v1/tensorboard.pb.h"

namespace kodistil {

inline constexpr char kLossTag[] = "loss/train";
inline constexpr char kHardLossTag[] = "loss/hard";
inline constexpr char kSoftLossTag[] = "loss/soft";
inline constexpr char kTestLossTag[] = "loss/test";
inline constexpr char kValidTag[] = "accuracy/valid";
inline constexpr char kTestTag[] = "accuracy/test";
inline constexpr char kRateTag[] = "learning_rate";
inline constexpr char kSpeedTag[] = "rows_per_second";
inline constexpr char kExperimentTag[] = "_hparams_/experiment";
inline constexpr char kStartTag[] = "_hparams_/session_start_info";
inline constexpr char kEndTag[] = "_hparams_/session_end_info";

// The first event of every file.
v1::TensorboardEvent VersionEvent(absl::Time now);

// The scalars of a finished epoch, its number being the step. The soft loss is
// left out for "ce", rows a second where the record has no rows.
v1::TensorboardEvent EpochEvent(const v1::StudentConfig& config,
                                const v1::EpochReport& epoch, absl::Time now);

// The scalars of the test split, at the last epoch's step.
v1::TensorboardEvent TestEvent(const v1::TrialResult& result, absl::Time now);

// The columns of the table of hyperparameters: every field of StudentConfig,
// with the values that the trials have.
v1::TensorboardEvent ExperimentEvent(const std::vector<v1::Trial>& trials,
                                     absl::Time now);

// The trial's hyperparameters; it began with its first lease that is known.
v1::TensorboardEvent StartEvent(const v1::Trial& trial, absl::Time now);

// How a trial ended that is DONE, FAILED or CANCELLED.
v1::TensorboardEvent EndEvent(const v1::Trial& trial, absl::Time now);
v1::TensorboardSessionEnd::Status EndStatus(const v1::Trial& trial);

// What an event of the plugin "hparams" holds; empty for other events.
v1::TensorboardHParams HParamsOf(const v1::TensorboardEvent& event);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TENSORBOARD_EVENTS_H_
