// The student network in LibTorch: forward, training step, optimiser state.

#ifndef KODISTIL_STUDENT_TRAINER_STUDENT_NETWORK_H_
#define KODISTIL_STUDENT_TRAINER_STUDENT_NETWORK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/loss.h"
#include "student_trainer/student.h"

namespace kodistil {

// Threads that LibTorch uses inside one operation, for this process. The linear
// algebra library below it is kept to one, so that results do not depend on the
// number.
absl::Status SetComputeThreads(int threads);

// Gets logits [rows, classes] in the batch's row order and writes the loss's
// gradient of the same shape.
using LossFunction = std::function<LossSums(absl::Span<const float> logits,
                                            absl::Span<float> gradient)>;

// A student and its Adam optimiser on one device. On CPU the LSTM runs on our
// own kernels over packed batches, elsewhere on LibTorch's. Thread-compatible;
// Logits may be called from several threads at once.
class StudentNetwork {
 public:
  // What computes the LSTM and Adam. kAuto: our kernels on CPU, LibTorch on
  // other devices; kLibTorch is for tests, which run that path on CPU.
  enum class Kernels { kAuto, kLibTorch };

  // `device`: "cpu" or "cuda:N". Weights are zero. INVALID_ARGUMENT for a bad
  // shape or device, FAILED_PRECONDITION when this LibTorch has no such device.
  static absl::StatusOr<std::unique_ptr<StudentNetwork>> Create(
      const StudentShape& shape, const std::string& device,
      Kernels kernels = Kernels::kAuto);
  ~StudentNetwork();

  // PyTorch's default initialisation: embedding N(0, 1) with a zero padding
  // row, LSTM U(-1/sqrt(H), 1/sqrt(H)), linear U(-1/sqrt(2H), 1/sqrt(2H)).
  absl::Status Initialize(uint64_t seed);

  // INVALID_ARGUMENT naming the tensor that is missing, unknown or of another
  // size.
  absl::Status SetWeights(const StudentWeights& weights);
  absl::StatusOr<StudentWeights> Weights() const;

  // Everything that a later step depends on, in the order of
  // StudentShape::Tensors().
  struct State {
    std::vector<float> parameters;   // [P]
    std::vector<float> adam_mean;    // [P]
    std::vector<float> adam_square;  // [P]
    int64_t steps = 0;
  };
  absl::StatusOr<State> GetState() const;
  // INVALID_ARGUMENT when a size is another one.
  absl::Status SetState(const State& state);

  // Starts the stream of dropout masks.
  void SeedDropout(uint64_t seed);

  // Forward, `loss`, backward, one step of Adam (PyTorch's defaults) at `rate`.
  // Does not step when the loss is not finite: the caller looks at the result.
  absl::StatusOr<LossSums> TrainStep(const PackedBatch& batch, double dropout,
                                     double rate, const LossFunction& loss);

  // [rows, classes] in the batch's row order, without dropout.
  absl::StatusOr<std::vector<float>> Logits(const PackedBatch& batch) const;

 private:
  struct Impl;
  explicit StudentNetwork(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_STUDENT_NETWORK_H_
