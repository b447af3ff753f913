#include "student_trainer/pack_contenders.h"

#include <utility>

#include "base/status_macros.h"
#include "student_trainer/loss.h"

namespace kodistil {

absl::StatusOr<std::unique_ptr<PackContender>> PackContender::Create(
    const PackContenderOptions& options, const TrainingRows& rows) {
  auto contender =
      std::unique_ptr<PackContender>(new PackContender(options, rows));
  for (int cell = 0; cell < options.cells; ++cell) {
    KODISTIL_ASSIGN_OR_RETURN(auto student,
                              FastStudent::Create(options.shape, 1));
    KODISTIL_RETURN_IF_ERROR(student->Initialize(cell));
    contender->students_.push_back(std::move(student));
  }
  return contender;
}

absl::Status PackContender::StepCells(
    const std::vector<std::vector<uint32_t>>& batches, size_t begin,
    size_t end) {
  StepOptions step;
  step.dropout = 0.1;
  step.rate = 1e-3;
  std::vector<absl::Status> statuses(end - begin);
  feed_.ForChunks(batches, [&](absl::Span<const LabelledBatch> chunk) {
    lanes_.RunCells(end - begin, [&](size_t i, int threads) {
      FastStudent& student = *students_[begin + i];
      student.SetThreads(threads);
      for (const LabelledBatch& batch : chunk) {
        const auto loss = [&](absl::Span<const float> logits,
                              absl::Span<float> gradient) {
          return DistillationLoss(LossOptions(), options_.shape.num_classes,
                                  logits, batch.labels, batch.teachers[0],
                                  gradient);
        };
        statuses[i].Update(
            student.TrainStep(batch.packed, step, loss).status());
      }
    });
    return true;
  });
  for (const absl::Status& status : statuses) {
    KODISTIL_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status PackContender::Step(
    const std::vector<std::vector<uint32_t>>& batches) {
  if (options_.together) return StepCells(batches, 0, students_.size());
  for (size_t cell = 0; cell < students_.size(); ++cell) {
    KODISTIL_RETURN_IF_ERROR(StepCells(batches, cell, cell + 1));
  }
  return absl::OkStatus();
}

}  // namespace kodistil
