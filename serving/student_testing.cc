#include "serving/student_testing.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr char kVocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n영화\n##가\n정말\n재미\n##있다\n"
    "##없다\n최고\n최악\n좋다\n싫다\na\nb\nc\n##a\n##b\n##c\n!\n";

}  // namespace

StudentFolder RandomStudent(uint64_t seed, int num_classes) {
  StudentFolder student;
  student.vocab = kVocab;
  student.shape.vocab_size = 32;
  student.shape.embedding_dim = 8;
  student.shape.hidden_dim = 16;
  student.shape.num_classes = num_classes;
  student.max_length = 64;
  student.provenance_json =
      R"({"trial_id": "t1", "engine": "fast", "config": {"temperature": 2,
      "loss_rate": 0.5, "loss_option": "kl_div", "seed": 3}, "dataset":
      {"name": "sample"}, "result": {"correct": 3, "total": 4}, "logits":
      {"teacher_fingerprint": "ngram"}})";
  Pcg32 random(seed);
  for (const auto& [name, dims] : student.shape.Tensors()) {
    int64_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    for (int64_t i = 0; i < size; ++i) {
      student.weights[name].push_back(2 * random.Uniform() - 1);
    }
  }
  return student;
}

absl::Status SaveRandomStudent(const std::string& folder, uint64_t seed,
                               int num_classes) {
  return SaveStudent(RandomStudent(seed, num_classes), folder);
}

absl::StatusOr<std::vector<ModelSpec>> SaveTwoStudents(
    const std::string& folder) {
  const std::vector<ModelSpec> models = {
      {"first", JoinPath(folder, "first")},
      {"second", JoinPath(folder, "second")}};
  for (size_t i = 0; i < models.size(); ++i) {
    KODISTIL_RETURN_IF_ERROR(
        SaveRandomStudent(models[i].folder, /*seed=*/i + 1));
  }
  return models;
}

}  // namespace kodistil
