// A student that is loaded and ready: texts in, probabilities out.

#ifndef KODISTIL_SERVING_STUDENT_MODEL_H_
#define KODISTIL_SERVING_STUDENT_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "corpus/wordpiece_tokenizer.h"
#include "student_trainer/inference_kernel.h"
#include "student_trainer/student.h"

namespace kodistil {

// Rows that go through the kernel together.
inline constexpr size_t kKernelRows = 32;

// Thread-safe.
class StudentModel {
 public:
  // A student's folder. Errors as LoadStudent's, and those of its tokenizer.
  static absl::StatusOr<std::shared_ptr<const StudentModel>> Load(
      const std::string& name, const std::string& folder,
      InferencePrecision precision);

  // [texts, classes], rows adding up to 1, for at most kKernelRows texts. What
  // is not UTF-8 in a text is dropped; a long one is cut to max_length pieces.
  void Classify(absl::Span<const absl::string_view> texts,
                absl::Span<float> probabilities) const;

  const std::string& name() const { return name_; }
  // Of the configuration, weights, vocabulary and precision: two models with
  // one digest answer alike. 64 hexadecimal digits.
  const std::string& digest() const { return digest_; }
  absl::string_view precision() const;
  const StudentShape& shape() const { return kernel_->shape(); }
  int classes() const { return shape().num_classes; }
  int max_length() const { return max_length_; }
  // Of the weights' file, and of tables and weights in memory.
  int64_t file_bytes() const { return file_bytes_; }
  int64_t memory_bytes() const { return kernel_->bytes(); }
  // The folder's provenance.json.
  const std::string& provenance() const { return provenance_; }

 private:
  StudentModel() = default;

  std::string name_;
  std::string digest_;
  InferencePrecision precision_ = InferencePrecision::kFp32;
  int max_length_ = 0;
  int64_t file_bytes_ = 0;
  std::string provenance_;
  std::unique_ptr<WordPieceTokenizer> tokenizer_;
  std::unique_ptr<InferenceKernel> kernel_;
};

// "negative" or "positive" for two classes, otherwise "class K".
std::string ClassName(int label, int classes);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_STUDENT_MODEL_H_
