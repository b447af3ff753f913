// The n-gram teacher: character n-gram TF-IDF with cross-fitted logistic
// regressions.

#ifndef KODISTIL_TEACHER_SERVICE_NGRAM_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_NGRAM_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "teacher_service/ngram_features.h"
#include "teacher_service/teacher_model.h"

namespace kodistil {

// A trained n-gram model. `outputs` is 1 for two classes and num_classes for
// more (one against the rest).
struct NgramParameters {
  NgramShape shape;
  int num_classes = 2;
  int folds = 5;
  std::vector<uint64_t> hashes;  // [features], ascending
  std::vector<float> idf;        // [features]
  std::vector<float> weights;    // [folds, outputs, features]
  std::vector<float> bias;       // [folds, outputs]
  // NgramTextHash of every text trained on, ascending, distinct.
  std::vector<uint64_t> train_texts;
  std::string dataset_fingerprint;
  int64_t train_rows = 0;

  int outputs() const { return num_classes == 2 ? 1 : num_classes; }
};

// Identifies a text (or pair) within the training set; modulo the number of
// folds it is the text's fold, so that duplicates share one.
uint64_t NgramTextHash(absl::string_view text, absl::string_view second_text);

// FAILED_PRECONDITION when `dir` is there and is neither empty nor an n-gram
// model, and so not ours to replace.
absl::Status CheckNgramOutput(const std::string& dir);

// Makes the folder `dir` with config.json and model.safetensors, whole or not
// at all, in place of an n-gram model that is there. FAILED_PRECONDITION when
// something else is there.
absl::Status SaveNgramModel(const NgramParameters& parameters,
                            const std::string& dir);

// INVALID_ARGUMENT or DATA_LOSS naming the file when the folder holds no whole
// n-gram model.
absl::StatusOr<std::unique_ptr<TeacherModel>> LoadNgramModel(
    const TeacherModelOptions& options);

// Scores texts by an n-gram model. A text that the model was trained on gets
// the logits of the fold that was trained without it, any other text the mean
// over the folds. Two classes: score z gives [-z/2, z/2]. Thread-safe.
class NgramScorer {
 public:
  explicit NgramScorer(const NgramParameters& parameters);

  // Appends logits [num_classes], float32, of one text to `logits`.
  void Score(absl::string_view text, absl::string_view second_text,
             std::vector<float>* logits) const;

 private:
  const NgramShape shape_;
  const int num_classes_;
  const int folds_;
  const int outputs_;
  HashIndex features_;
  HashIndex train_texts_;
  // [features, 1 + folds * outputs]: idf, then the weights; what one n-gram
  // needs lies together.
  std::vector<float> table_;
  std::vector<float> bias_;  // [folds, outputs]
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_NGRAM_MODEL_H_
