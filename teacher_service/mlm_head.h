// The head that guesses masked tokens, as Hugging Face's ...ForMaskedLM has it.
// Names LibTorch's tensor without including LibTorch.

#ifndef KODISTIL_TEACHER_SERVICE_MLM_HEAD_H_
#define KODISTIL_TEACHER_SERVICE_MLM_HEAD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "teacher_service/transformer_config.h"

namespace at {
class Tensor;
}  // namespace at

namespace kodistil {

// Of electra, bert and roberta. Not thread-safe. Throws as LibTorch does.
class MlmHead {
 public:
  using Tensors = std::map<std::string, at::Tensor>;

  // A head with random weights (normal(0, initializer_range), LayerNorm 1),
  // tied to the word embeddings in `encoder`. INVALID_ARGUMENT for other
  // architectures, and for a BERT whose activation is not gelu.
  static absl::StatusOr<std::unique_ptr<MlmHead>> Create(
      const TransformerConfig& config, const Tensors& encoder, uint64_t seed);
  ~MlmHead();

  // Logits [positions, vocab], float32, of states [positions, hidden].
  at::Tensor Logits(const at::Tensor& states) const;

  // By Hugging Face's names, without the tied word embeddings.
  const Tensors& parameters() const;

 private:
  struct Impl;
  explicit MlmHead(std::unique_ptr<Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_MLM_HEAD_H_
