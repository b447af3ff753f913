// What trains a student: forward, training step, optimiser state. No LibTorch
// here.

#ifndef KODISTIL_STUDENT_TRAINER_STUDENT_ENGINE_H_
#define KODISTIL_STUDENT_TRAINER_STUDENT_ENGINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/loss.h"
#include "student_trainer/student.h"

namespace kodistil {

// Gets logits [rows, classes] in the batch's row order and writes the loss's
// gradient of the same shape.
using LossFunction = absl::FunctionRef<LossSums(absl::Span<const float> logits,
                                                absl::Span<float> gradient)>;

// What a training step is told besides its batch.
struct StepOptions {
  double dropout = 0;  // of inputs and outputs, 0 to below 1
  double rate = 0;     // learning rate
  // AdamW's, decoupled: weights shrink by rate times this. 0 is Adam.
  double weight_decay = 0;
};

// A student and its Adam or AdamW optimiser. Thread-compatible; Logits may be
// called from several threads at once.
class StudentEngine {
 public:
  // Everything that a later step depends on, in the order of
  // StudentShape::Tensors().
  struct State {
    std::vector<float> parameters;   // [P]
    std::vector<float> adam_mean;    // [P]
    std::vector<float> adam_square;  // [P]
    int64_t steps = 0;
  };

  explicit StudentEngine(const StudentShape& shape) : shape_(shape) {}
  virtual ~StudentEngine() = default;
  StudentEngine(const StudentEngine&) = delete;
  StudentEngine& operator=(const StudentEngine&) = delete;

  const StudentShape& shape() const { return shape_; }

  // InitialParameters, before the first step.
  absl::Status Initialize(uint64_t seed);

  // INVALID_ARGUMENT naming the tensor that is missing, unknown or of another
  // size.
  absl::Status SetWeights(const StudentWeights& weights);
  absl::StatusOr<StudentWeights> Weights() const;

  virtual absl::StatusOr<State> GetState() const = 0;
  // INVALID_ARGUMENT when a size is another one.
  virtual absl::Status SetState(const State& state) = 0;

  // Starts the stream of dropout masks.
  virtual void SeedDropout(uint64_t seed) = 0;

  // Forward, `loss`, backward, one step of Adam (PyTorch's defaults). Does not
  // step when the loss is not finite: the caller looks at the result.
  virtual absl::StatusOr<LossSums> TrainStep(const PackedBatch& batch,
                                             const StepOptions& options,
                                             LossFunction loss) = 0;

  // How many threads the next calls may use, 1 or more; results do not depend
  // on it. The LibTorch engine leaves it to SetComputeThreads.
  virtual void SetThreads(int threads) {}

  // [rows, classes] in the batch's row order, without dropout.
  virtual absl::StatusOr<std::vector<float>> Logits(
      const PackedBatch& batch) const = 0;

 protected:
  // INVALID_ARGUMENT when a size is not the shape's.
  absl::Status CheckState(const State& state) const;

 private:
  const StudentShape shape_;
};

// PyTorch's default initialisation in the order of StudentShape::Tensors():
// embedding N(0, 1) with a zero padding row, LSTM U(-1/sqrt(H), 1/sqrt(H)),
// linear U(-1/sqrt(2H), 1/sqrt(2H)).
std::vector<float> InitialParameters(const StudentShape& shape, uint64_t seed);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_STUDENT_ENGINE_H_
