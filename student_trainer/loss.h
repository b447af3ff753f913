// The distillation losses and their gradients. No LibTorch here.

#ifndef KODISTIL_STUDENT_TRAINER_LOSS_H_
#define KODISTIL_STUDENT_TRAINER_LOSS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kodistil {

enum class LossKind { kCe, kKlDiv, kMse };

// "kl_div", "mse" or "ce"; INVALID_ARGUMENT naming the three for others.
absl::StatusOr<LossKind> ParseLossKind(absl::string_view name);

struct LossOptions {
  LossKind kind = LossKind::kKlDiv;
  // Weight of the hard label, 0 to 1; the soft term has the rest. Not used by
  // kCe.
  double loss_rate = 0.1;
  // Softens both distributions of kKlDiv, above 0.
  double temperature = 1;

  absl::Status Validate() const;
};

// Sums over rows, so that batches of any size add up.
struct LossSums {
  double total = 0;  // the weighted loss
  double hard = 0;   // cross entropy with the label
  double soft = 0;   // kKlDiv: T^2 * KL(teacher || student); kMse: mean over
                     // classes of the squared difference of logits
  int64_t rows = 0;
  int64_t labelled = 0;  // rows that have a hard term
};

// `logits` and `teacher`: [rows, classes], float32, row-major; `labels`:
// [rows], negative for a row without label, whose hard term is left out.
// `teacher` may be empty for kCe. Writes into `gradient`, [rows, classes], the
// gradient of total / rows:
//   kl_div: loss_rate * CE + (1 - loss_rate) * T^2 * KL (Hinton, Vinyals, Dean:
//           Distilling the Knowledge in a Neural Network, 2015, section 2)
//   mse:    loss_rate * CE + (1 - loss_rate) * MSE(logits)
//   ce:     CE
LossSums DistillationLoss(const LossOptions& options, int classes,
                          absl::Span<const float> logits,
                          absl::Span<const int> labels,
                          absl::Span<const float> teacher,
                          absl::Span<float> gradient);

// -log softmax(logits)[label].
double CrossEntropy(absl::Span<const float> logits, int label);
// Index of the largest logit; the first one of equals, as torch.argmax.
int ArgMax(absl::Span<const float> logits);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_LOSS_H_
