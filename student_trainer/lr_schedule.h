// Learning rate schedules as PyTorch defines them (torch.optim.lr_scheduler).
// No LibTorch here.

#ifndef KODISTIL_STUDENT_TRAINER_LR_SCHEDULE_H_
#define KODISTIL_STUDENT_TRAINER_LR_SCHEDULE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "kodistil/v1/sweep.pb.h"

namespace kodistil {

// Thread-safe.
class LrSchedule {
 public:
  virtual ~LrSchedule() = default;
  // The rate of a step: `epoch` from 0, `step` from 0 over all epochs.
  virtual double Rate(int64_t epoch, int64_t step) const = 0;

  // From config.scheduler_type: "constant" (lr), "StepLR" (lr, multiplied by
  // gamma every step_size epochs), or "CyclicLR" (triangular between base_lr
  // and max_lr, step_size_up steps each way, moved at every step).
  // INVALID_ARGUMENT naming the field otherwise.
  static absl::StatusOr<std::unique_ptr<LrSchedule>> Create(
      const v1::StudentConfig& config);
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_LR_SCHEDULE_H_
