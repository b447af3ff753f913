// The student network's plain side: its shape, its weights by name, its folder
// on disk. No LibTorch here.

#ifndef KODISTIL_STUDENT_TRAINER_STUDENT_H_
#define KODISTIL_STUDENT_TRAINER_STUDENT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/wordpiece_tokenizer.h"

namespace kodistil {

// Embedding(V, E) -> dropout -> L-layer bidirectional LSTM(E, H) -> concat(last
// forward state, first backward state) -> dropout -> Linear(2H, C).
struct StudentShape {
  int vocab_size = 3000;    // V
  int embedding_dim = 64;   // E
  int hidden_dim = 128;     // H of each direction
  int lstm_num_layers = 1;  // L
  int num_classes = 2;      // C

  absl::Status Validate() const;
  int64_t Parameters() const;
  // PyTorch's parameter names and their shapes, in PyTorch's order:
  // "embedding.weight" [V, E], "rnn.weight_ih_l0" [4H, E], ...,
  // "linear.weight" [C, 2H], "linear.bias" [C].
  std::vector<std::pair<std::string, std::vector<int64_t>>> Tensors() const;
};

// Values of each tensor, float32 row-major, by PyTorch's name.
using StudentWeights = std::map<std::string, std::vector<float>>;

// A trained student as it lies on disk: config.json, model.safetensors,
// vocab.txt and tokenizer_config.json, README.md, provenance.json.
struct StudentFolder {
  StudentShape shape;
  StudentWeights weights;
  std::string vocab;  // content of vocab.txt
  WordPieceOptions tokenizer;
  int max_length = 256;
  std::string provenance_json = "{}";
  std::string model_card;  // README.md; written when not empty
};

// INVALID_ARGUMENT or DATA_LOSS naming the file and the tensor or key.
absl::StatusOr<StudentFolder> LoadStudent(const std::string& folder);
// Makes the folder; the same student gives the same bytes.
absl::Status SaveStudent(const StudentFolder& student,
                         const std::string& folder);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_STUDENT_H_
