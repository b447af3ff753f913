// A trained student's logits without LibTorch: for serving and evaluation.

#ifndef KODISTIL_STUDENT_TRAINER_INFERENCE_KERNEL_H_
#define KODISTIL_STUDENT_TRAINER_INFERENCE_KERNEL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "student_trainer/student.h"

namespace kodistil {

enum class InferencePrecision {
  kFp32,
  // Weights in 8 bits with a scale for each gate of each unit, states in 8
  // bits, the vocabulary's table in half precision; sums in integers.
  kInt8,
};

// "fp32" or "int8"; INVALID_ARGUMENT naming both for others.
absl::StatusOr<InferencePrecision> ParseInferencePrecision(
    absl::string_view name);

// Memory that calls work in; it grows to the largest batch seen. Movable. One
// call at a time; may serve several kernels.
class InferenceScratch {
 public:
  InferenceScratch();
  ~InferenceScratch();
  InferenceScratch(InferenceScratch&&) noexcept;
  InferenceScratch& operator=(InferenceScratch&&) noexcept;

 private:
  friend class InferenceKernel;
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

// Thread-safe after creation. The first layer's input weights are multiplied
// with every embedding beforehand, into a table of 2 x 4H numbers for each
// piece.
class InferenceKernel {
 public:
  // INVALID_ARGUMENT for a bad shape, or naming a tensor that is missing or of
  // another size.
  static absl::StatusOr<std::unique_ptr<InferenceKernel>> Create(
      const StudentShape& shape, const StudentWeights& weights,
      InferencePrecision precision);
  ~InferenceKernel();

  // Logits of some rows, [rows, classes] in their order. A row is [CLS] ...
  // [SEP], at least one id, each 0 to vocab_size - 1, without padding. A row's
  // logits do not depend on the rows beside it, bit by bit. Allocates nothing
  // once `scratch` has grown.
  void Run(absl::Span<const absl::Span<const int32_t>> rows,
           InferenceScratch* scratch, absl::Span<float> logits) const;
  // One row.
  void Run(absl::Span<const int32_t> tokens, InferenceScratch* scratch,
           absl::Span<float> logits) const {
    Run(absl::MakeConstSpan(&tokens, 1), scratch, logits);
  }

  const StudentShape& shape() const;
  // Memory of tables and weights.
  int64_t bytes() const;

 private:
  struct Impl;
  explicit InferenceKernel(std::unique_ptr<Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_INFERENCE_KERNEL_H_
