// A small Transformer folder with seeded random weights, for tests.

#ifndef KODISTIL_TEACHER_SERVICE_TINY_TRANSFORMER_H_
#define KODISTIL_TEACHER_SERVICE_TINY_TRANSFORMER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace kodistil {

// The files of a teacher's folder. Change what a test needs, then Write.
struct TinyTransformer {
  // By default of a model with 2 layers, 2 heads, hidden size 8, 24 positions,
  // 3 labels.
  std::string config;
  std::map<std::string, std::vector<int64_t>> shapes;
  // [PAD], [UNK], [CLS], [SEP], then pieces.
  std::string vocab;
  std::string tokenizer_config;  // no file when empty

  // `model_type`: "bert" or "electra".
  explicit TinyTransformer(const std::string& model_type);

  // The bytes of model.safetensors: uniform weights around 0, around 1 for
  // LayerNorm.
  std::string Weights() const;
  absl::Status Write(const std::string& dir) const;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TINY_TRANSFORMER_H_
