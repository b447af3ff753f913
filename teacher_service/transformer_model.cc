#include "teacher_service/transformer_model.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"

namespace kodistil {

absl::StatusOr<std::vector<int64_t>> TransformerModel::PooledPlaces(
    const PackedRows& rows) const {
  return std::vector<int64_t>(rows.rows(), 0);
}

std::unique_ptr<TransformerModel> NewModel(const TransformerConfig& config,
                                           Parameters* parameters) {
  switch (config.architecture) {
    case Architecture::kBert:
    case Architecture::kElectra:
    case Architecture::kRoberta:
    case Architecture::kBigBird:
      return NewBertModel(config, parameters);
    case Architecture::kDistilBert:
      return NewDistilBertModel(config, parameters);
    case Architecture::kGpt2:
      return NewGpt2Model(config, parameters);
    case Architecture::kBart:
      return NewBartModel(config, parameters);
    case Architecture::kXlnet:
      return NewXlnetModel(config, parameters);
    case Architecture::kT5:
      return NewT5Model(config, parameters);
  }
  return nullptr;
}

std::vector<int64_t> TokensOf(const PackedRows& rows,
                              const std::vector<int64_t>& places) {
  std::vector<int64_t> tokens;
  tokens.reserve(rows.rows());
  rows.ForEachRow([&](int64_t row, int64_t token, const RowGroup&) {
    tokens.push_back(token + places[row]);
  });
  return tokens;
}

absl::StatusOr<std::vector<int64_t>> LastPlacesOf(const PackedRows& rows,
                                                  int64_t id,
                                                  const char* what) {
  std::vector<int64_t> places(rows.rows(), -1);
  int64_t without = -1;
  rows.ForEachRow([&](int64_t row, int64_t token, const RowGroup& group) {
    for (int64_t i = 0; i < group.length; ++i) {
      if (rows.ids[token + i] == id) places[row] = i;
    }
    if (places[row] < 0) without = rows.source[row];
  });
  if (without < 0) return places;
  return absl::InvalidArgumentError(
      absl::StrCat("row ", without, ": no ", what, " (id ", id,
                   "), whose state the classifier reads"));
}

std::vector<int64_t> ShiftRight(const PackedRows& rows, int64_t start) {
  std::vector<int64_t> ids(rows.tokens());
  rows.ForEachRow([&](int64_t, int64_t token, const RowGroup& group) {
    ids[token] = start;
    for (int64_t i = 1; i < group.length; ++i) {
      ids[token + i] = rows.ids[token + i - 1];
    }
  });
  return ids;
}

at::Tensor RunHead(const Run& run, const ClassifierHead& head,
                   const at::Tensor& pooled) {
  const at::Tensor dense =
      Apply(head.dense, Dropout(run, pooled, head.input_dropout));
  return Apply(head.out, Dropout(run, Activate(head.activation, dense),
                                 head.inner_dropout));
}

double ClassifierDropout(const TransformerConfig& config) {
  return config.classifier_dropout < 0 ? config.hidden_dropout
                                       : config.classifier_dropout;
}

}  // namespace kodistil
