// A teacher: text in, logits out. One interface over every kind of model.

#ifndef KODISTIL_TEACHER_SERVICE_TEACHER_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_TEACHER_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace kodistil {

struct TeacherInput {
  std::string text;         // UTF-8, not empty
  std::string second_text;  // of a pair; empty when there is none
};

// What a model reads of one input. Models that read text keep it.
struct EncodedInput {
  std::vector<int32_t> ids;       // [length]
  std::vector<int32_t> type_ids;  // [length], or empty
  TeacherInput input;
  // Cost in a batch: tokens for Transformers, 1 for models without padding.
  int tokens = 1;
};

struct TeacherInfo {
  std::string name;         // last part of the folder's path
  std::string model_type;   // "ngram", "electra", "bert", "torchscript"
  std::string fingerprint;  // 64 hexadecimal digits, see LogitSetId
  int num_classes = 2;
  uint64_t parameters = 0;
  int max_length = 0;  // tokens a row; 0 for no limit
  std::string device = "cpu";
};

struct TeacherModelOptions {
  std::string model_dir;
  // "auto" (CUDA when there is one), "cpu" or "cuda:N".
  std::string device = "auto";
  // Tokens a row; 0 takes the model's own limit.
  int max_length = 0;
  // TorchScript files are code: only load what you trust.
  bool allow_torchscript = false;
  // Folder of a MeCab dictionary, for a WordPiece vocabulary of morphemes;
  // empty for none.
  std::string mecab_dicdir;
  // Threads of one forward pass; 0 for one per core.
  int threads = 0;

  absl::Status Validate() const;
};

// Encode and info are thread-safe; Infer is called by one thread at a time.
class TeacherModel {
 public:
  virtual ~TeacherModel() = default;

  virtual const TeacherInfo& info() const = 0;
  virtual absl::StatusOr<EncodedInput> Encode(
      const TeacherInput& input) const = 0;
  // Logits of a batch, row-major [batch, num_classes], float32. A row's logits
  // do not depend on its neighbours.
  virtual absl::StatusOr<std::vector<float>> Infer(
      absl::Span<const EncodedInput* const> batch) = 0;
};

// Loads the model in options.model_dir, whose config.json says which kind it
// is. INVALID_ARGUMENT for an unknown model type (naming those known),
// NOT_FOUND for a missing file, DATA_LOSS for a damaged one.
absl::StatusOr<std::unique_ptr<TeacherModel>> LoadTeacherModel(
    const TeacherModelOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TEACHER_MODEL_H_
