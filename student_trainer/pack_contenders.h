// Several students trained together over the same batches, or one after
// another: what training_benchmark compares.

#ifndef KODISTIL_STUDENT_TRAINER_PACK_CONTENDERS_H_
#define KODISTIL_STUDENT_TRAINER_PACK_CONTENDERS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "student_trainer/fast_student.h"
#include "student_trainer/lane_pool.h"
#include "student_trainer/student.h"
#include "student_trainer/training_rows.h"

namespace kodistil {

struct PackContenderOptions {
  StudentShape shape;
  int cells = 2;
  int threads = 1;
  // Over the same assembled batches, side by side on the threads; else one
  // after another, each with all threads and batches of its own, as cells that
  // are trained alone.
  bool together = true;
};

// Trains by what the training loop is made of, batches assembled as there. Not
// thread-safe. Borrows the rows.
class PackContender {
 public:
  static absl::StatusOr<std::unique_ptr<PackContender>> Create(
      const PackContenderOptions& options, const TrainingRows& rows);

  // Every cell takes a step for each batch.
  absl::Status Step(const std::vector<std::vector<uint32_t>>& batches);

 private:
  PackContender(const PackContenderOptions& options, const TrainingRows& rows)
      : options_(options),
        lanes_(options.threads),
        feed_(rows, {&rows.logits}, &lanes_) {}

  // For the cells from `begin` to `end`.
  absl::Status StepCells(const std::vector<std::vector<uint32_t>>& batches,
                         size_t begin, size_t end);

  const PackContenderOptions options_;
  LanePool lanes_;
  BatchFeed feed_;
  std::vector<std::unique_ptr<FastStudent>> students_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_PACK_CONTENDERS_H_
