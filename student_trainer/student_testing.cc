#include "student_trainer/student_testing.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

constexpr char32_t kFirstSyllable = 0xAC00;

std::string Vocab(int size) {
  std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                     "[MASK]"};
  const auto add = [&pieces](char32_t c) {
    std::string piece;
    AppendUtf8(c, &piece);
    pieces.push_back(absl::StrCat("##", piece));
    pieces.push_back(piece);
  };
  for (char32_t c = '!'; c <= '~'; ++c) add(c);
  for (char32_t c = kFirstSyllable; static_cast<int>(pieces.size()) < size;
       ++c) {
    add(c);
  }
  std::string vocab;
  for (int i = 0; i < size; ++i) absl::StrAppend(&vocab, pieces[i], "\n");
  return vocab;
}

}  // namespace

StudentFolder RandomStudent(const StudentShape& shape, uint64_t seed) {
  StudentFolder student;
  student.shape = shape;
  student.vocab = Vocab(shape.vocab_size);
  Pcg32 rng(seed);
  for (const auto& [name, dims] : shape.Tensors()) {
    int64_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    // The head's weights are large: states of an untrained network are small.
    const double range = name == "embedding.weight" ? 1.7
                         : name == "linear.weight"
                             ? 4.0
                             : 1.5 / std::sqrt(shape.hidden_dim);
    std::vector<float>& values = student.weights[name];
    values.resize(size);
    for (float& value : values) value = range * (2 * rng.Uniform() - 1);
  }
  std::fill_n(student.weights["embedding.weight"].begin(), shape.embedding_dim,
              0.0f);
  return student;
}

}  // namespace kodistil
