// The student on our own vector code: the training engine of the CPU, and the
// forward pass of whoever needs logits without LibTorch.

#ifndef KODISTIL_STUDENT_TRAINER_FAST_STUDENT_H_
#define KODISTIL_STUDENT_TRAINER_FAST_STUDENT_H_

#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "student_trainer/bilstm.h"
#include "student_trainer/float_buffer.h"
#include "student_trainer/student_engine.h"
#include "student_trainer/thread_pair.h"
#include "student_trainer/vector_kernels.h"

namespace kodistil {

// On the same instruction set the same steps give the same bits, with one
// thread or two. Steps of a size seen before allocate no memory.
class FastStudent : public StudentEngine {
 public:
  // `threads`: 1, or more for one direction of the LSTM a thread. Weights are
  // zero. INVALID_ARGUMENT for a bad shape.
  static absl::StatusOr<std::unique_ptr<FastStudent>> Create(
      const StudentShape& shape, int threads);

  absl::StatusOr<State> GetState() const override;
  absl::Status SetState(const State& state) override;
  void SeedDropout(uint64_t seed) override;
  // INVALID_ARGUMENT naming a token outside the vocabulary.
  absl::StatusOr<LossSums> TrainStep(const PackedBatch& batch,
                                     const StepOptions& options,
                                     LossFunction loss) override;
  void SetThreads(int threads) override { threads_.SetThreads(threads); }
  absl::StatusOr<std::vector<float>> Logits(
      const PackedBatch& batch) const override;

 private:
  // Of one pass over a batch.
  struct Workspace {
    PackedSteps steps;
    BiLstm::State lstm;
    FloatBuffer x;        // [N, E]
    FloatBuffer ends;     // [B, 2H]
    FloatBuffer logits;   // [B, C]
    FloatBuffer dlogits;  // [B, C]
    FloatBuffer dends;    // [B, 2H]
  };

  FastStudent(const StudentShape& shape, int threads);

  absl::Status CheckTokens(const PackedBatch& batch) const;
  DropoutStream StreamOf(uint32_t site, double rate) const;
  // Logits, after dropout of inputs and outputs at `rate`.
  void Forward(const PackedBatch& batch, double rate, bool keep,
               Workspace* work) const;
  // Fills the gradient of the weights from work->dlogits, and puts that of the
  // inputs into work->x.
  void Backward(const PackedBatch& batch, double rate, Workspace* work);
  void Adam(const PackedBatch& batch, const StepOptions& options);
  void ToPacked(const std::vector<float>& plain, FloatBuffer* packed) const;
  std::vector<float> ToPlain(const FloatBuffer& packed) const;

  const BiLstm lstm_;
  // Where the parts begin in the arrays below: embedding [V, E], the packed
  // LSTM, linear weight [C, 2H] and bias [C].
  const size_t lstm_at_, linear_at_, bias_at_, size_;
  FloatBuffer parameters_, gradient_, mean_, square_;
  int64_t steps_ = 0;
  uint64_t dropout_seed_ = 0;
  uint32_t dropout_step_ = 0;
  mutable ThreadPair threads_;
  Workspace training_;
  // Of calls of Logits that are over.
  mutable absl::Mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_FAST_STUDENT_H_
