#include "serving/student_model.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Memory of a thread's calls, for whichever model.
struct ThreadBuffers {
  std::array<std::vector<int32_t>, kKernelRows> ids;
  std::array<absl::Span<const int32_t>, kKernelRows> rows;
  InferenceScratch scratch;
};

// Softmax of each row, in place; stable for large logits.
void ToProbabilities(absl::Span<float> logits, size_t classes) {
  for (size_t begin = 0; begin < logits.size(); begin += classes) {
    const absl::Span<float> row = logits.subspan(begin, classes);
    const float largest = *std::max_element(row.begin(), row.end());
    float sum = 0;
    for (float& value : row) sum += value = std::exp(value - largest);
    for (float& value : row) value /= sum;
  }
}

absl::StatusOr<std::string> DigestOf(const std::string& folder,
                                     InferencePrecision precision) {
  Sha256 hash;
  hash.UpdateUint64(static_cast<uint64_t>(precision));
  for (const char* file : {"config.json", "model.safetensors", "vocab.txt",
                           "tokenizer_config.json"}) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string digest,
                              Sha256HexOfFile(JoinPath(folder, file)));
    hash.UpdateField(digest);
  }
  return hash.FinishHex();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const StudentModel>> StudentModel::Load(
    const std::string& name, const std::string& folder,
    InferencePrecision precision) {
  const auto model = std::shared_ptr<StudentModel>(new StudentModel());
  model->name_ = name;
  model->precision_ = precision;
  KODISTIL_ASSIGN_OR_RETURN(StudentFolder student, LoadStudent(folder));
  KODISTIL_ASSIGN_OR_RETURN(model->digest_, DigestOf(folder, precision));
  KODISTIL_ASSIGN_OR_RETURN(
      model->tokenizer_,
      WordPieceTokenizer::Create(student.vocab, JoinPath(folder, "vocab.txt"),
                                 student.tokenizer));
  absl::StatusOr<std::unique_ptr<InferenceKernel>> kernel =
      InferenceKernel::Create(student.shape, student.weights, precision);
  if (!kernel.ok()) return Annotate(kernel.status(), folder);
  model->kernel_ = *std::move(kernel);
  KODISTIL_ASSIGN_OR_RETURN(
      const MappedFile weights,
      MappedFile::Open(JoinPath(folder, "model.safetensors")));
  model->file_bytes_ = weights.bytes().size();
  model->max_length_ = student.max_length;
  model->provenance_ = std::move(student.provenance_json);
  return model;
}

void StudentModel::Classify(absl::Span<const absl::string_view> texts,
                            absl::Span<float> probabilities) const {
  CHECK_LE(texts.size(), kKernelRows);
  static thread_local ThreadBuffers buffers;
  for (size_t i = 0; i < texts.size(); ++i) {
    tokenizer_->EncodeTo(texts[i], max_length_, &buffers.ids[i]);
    buffers.rows[i] = buffers.ids[i];
  }
  kernel_->Run(absl::MakeConstSpan(buffers.rows).subspan(0, texts.size()),
               &buffers.scratch, probabilities);
  ToProbabilities(probabilities, classes());
}

absl::string_view StudentModel::precision() const {
  return precision_ == InferencePrecision::kInt8 ? "int8" : "fp32";
}

std::string ClassName(int label, int classes) {
  if (classes == 2) return label == 1 ? "positive" : "negative";
  return absl::StrCat("class ", label);
}

}  // namespace kodistil
