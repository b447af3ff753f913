// What differs from one architecture to another, behind one interface. Names
// LibTorch's tensor without including LibTorch; everything throws as LibTorch
// does.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_MODEL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "teacher_service/packed_rows.h"
#include "teacher_service/transformer_config.h"
#include "teacher_service/transformer_ops.h"

namespace kodistil {

// Borrows its tensors from the Parameters that it was made from. Thread-safe:
// a pass keeps its state in its Run.
class TransformerModel {
 public:
  virtual ~TransformerModel() = default;

  // The place in its row of the token that the classifier reads, [rows]: the
  // first, unless overridden. INVALID_ARGUMENT naming the batch's row that has
  // none.
  virtual absl::StatusOr<std::vector<int64_t>> PooledPlaces(
      const PackedRows& rows) const;

  // The last layer's states: [tokens, hidden], or with `places` [rows, hidden]
  // of the tokens in these places of their rows.
  virtual at::Tensor States(const Run& run,
                            const std::vector<int64_t>* places) const = 0;

  // pooled: [rows, hidden]. Result: logits [rows, classes].
  virtual at::Tensor Classify(const Run& run,
                              const at::Tensor& pooled) const = 0;
};

// The model of config.architecture.
std::unique_ptr<TransformerModel> NewModel(const TransformerConfig& config,
                                           Parameters* parameters);

std::unique_ptr<TransformerModel> NewBertModel(const TransformerConfig& config,
                                               Parameters* parameters);
std::unique_ptr<TransformerModel> NewDistilBertModel(
    const TransformerConfig& config, Parameters* parameters);
std::unique_ptr<TransformerModel> NewGpt2Model(const TransformerConfig& config,
                                               Parameters* parameters);
std::unique_ptr<TransformerModel> NewBartModel(const TransformerConfig& config,
                                               Parameters* parameters);
std::unique_ptr<TransformerModel> NewXlnetModel(const TransformerConfig& config,
                                                Parameters* parameters);
std::unique_ptr<TransformerModel> NewT5Model(const TransformerConfig& config,
                                             Parameters* parameters);

// Indices of the tokens in these places of their rows, [rows].
std::vector<int64_t> TokensOf(const PackedRows& rows,
                              const std::vector<int64_t>& places);
// The place of the last `id` of each row. INVALID_ARGUMENT naming the batch's
// row and `what` where there is none.
absl::StatusOr<std::vector<int64_t>> LastPlacesOf(const PackedRows& rows,
                                                  int64_t id, const char* what);
// Each row's ids moved by one, behind `start`: a decoder's input.
std::vector<int64_t> ShiftRight(const PackedRows& rows, int64_t start);

// A head of two linear layers: dropout, dense, activation, dropout, out.
struct ClassifierHead {
  Linear dense;
  Linear out;
  Activation activation = Activation::kTanh;
  double input_dropout = 0;
  double inner_dropout = 0;
};
at::Tensor RunHead(const Run& run, const ClassifierHead& head,
                   const at::Tensor& pooled);

// The rate that config says for the classifier, or of its hidden states.
double ClassifierDropout(const TransformerConfig& config);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_MODEL_H_
