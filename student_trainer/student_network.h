// The student network in LibTorch.

#ifndef KODISTIL_STUDENT_TRAINER_STUDENT_NETWORK_H_
#define KODISTIL_STUDENT_TRAINER_STUDENT_NETWORK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "student_trainer/student_engine.h"

namespace kodistil {

// Threads that LibTorch uses inside one operation, for this process. The linear
// algebra library below it is kept to one, so that results do not depend on the
// number.
absl::Status SetComputeThreads(int threads);

// The reference engine, and the one for GPUs. On CPU the LSTM runs on kernels
// over packed batches below LibTorch's autograd, elsewhere on LibTorch's own.
class StudentNetwork : public StudentEngine {
 public:
  // What computes the LSTM and Adam. kAuto: our kernels on CPU, LibTorch on
  // other devices; kLibTorch is for tests, which run that path on CPU.
  enum class Kernels { kAuto, kLibTorch };

  // `device`: "cpu" or "cuda:N". Weights are zero. INVALID_ARGUMENT for a bad
  // shape or device, FAILED_PRECONDITION when this LibTorch has no such device.
  static absl::StatusOr<std::unique_ptr<StudentNetwork>> Create(
      const StudentShape& shape, const std::string& device,
      Kernels kernels = Kernels::kAuto);
  ~StudentNetwork() override;

  absl::StatusOr<State> GetState() const override;
  absl::Status SetState(const State& state) override;
  void SeedDropout(uint64_t seed) override;
  absl::StatusOr<LossSums> TrainStep(const PackedBatch& batch,
                                     const StepOptions& options,
                                     LossFunction loss) override;
  absl::StatusOr<std::vector<float>> Logits(
      const PackedBatch& batch) const override;

 private:
  struct Impl;
  StudentNetwork(const StudentShape& shape, std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_STUDENT_NETWORK_H_
