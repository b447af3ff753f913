#include "student_trainer/converter.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/torch_checkpoint.h"
#include "corpus/wordpiece_tokenizer.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// The size of one axis of a matrix, or 0 when there is no such matrix.
int64_t AxisOf(const std::map<std::string, TensorView>& tensors,
               const std::string& name, size_t axis) {
  const auto it = tensors.find(name);
  if (it == tensors.end() || it->second.shape.size() != 2) return 0;
  return it->second.shape[axis];
}

absl::StatusOr<StudentWeights> ReadWeights(
    const std::map<std::string, TensorView>& tensors,
    const std::string& source) {
  StudentWeights weights;
  for (const auto& [name, tensor] : tensors) {
    absl::StatusOr<std::vector<float>> values = ToFloats(tensor);
    KODISTIL_RETURN_IF_ERROR(Annotate(
        values.status(), absl::StrCat(source, ": tensor '", name, "'")));
    for (size_t i = 0; i < values->size(); ++i) {
      if (std::isfinite((*values)[i])) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": tensor '", name, "': element ", i, " is ",
                       (*values)[i], ", expected a finite number"));
    }
    weights[name] = *std::move(values);
  }
  return weights;
}

// What the folder says about where it came from.
std::string Provenance(const std::string& checkpoint_digest,
                       const std::string& vocab_digest) {
  const nlohmann::ordered_json json = {
      {"converted_from",
       {{"format", "PyTorch state dict"}, {"sha256", checkpoint_digest}}},
      {"vocab_sha256", vocab_digest}};
  return json.dump(2) + "\n";
}

}  // namespace

absl::Status ConvertOptions::Validate() const {
  if (checkpoint.empty()) {
    return absl::InvalidArgumentError(
        "--checkpoint is missing: a state dict saved by PyTorch (FILE.pt)");
  }
  if (vocab.empty()) {
    return absl::InvalidArgumentError(
        "--vocab is missing: the vocabulary that the model was trained with "
        "(vocab.txt)");
  }
  if (output.empty()) {
    return absl::InvalidArgumentError("--output is missing: a folder to make");
  }
  if (max_length < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max_length is ", max_length, ", expected 2 or more"));
  }
  return absl::OkStatus();
}

absl::StatusOr<StudentShape> InferStudentShape(
    const std::map<std::string, TensorView>& tensors,
    const std::string& source) {
  StudentShape shape;
  shape.vocab_size = AxisOf(tensors, "embedding.weight", 0);
  shape.embedding_dim = AxisOf(tensors, "embedding.weight", 1);
  shape.hidden_dim = AxisOf(tensors, "rnn.weight_hh_l0", 1);
  shape.num_classes = AxisOf(tensors, "linear.weight", 0);
  shape.lstm_num_layers = 1;
  while (tensors.count(absl::StrCat("rnn.weight_hh_l", shape.lstm_num_layers)) >
         0) {
    ++shape.lstm_num_layers;
  }
  std::vector<std::string> problems;
  std::map<std::string, TensorView> surplus = tensors;
  for (const auto& [name, expected] : shape.Tensors()) {
    const auto it = tensors.find(name);
    surplus.erase(name);
    if (it == tensors.end()) {
      problems.push_back(absl::StrCat("missing '", name, "'"));
    } else if (it->second.shape != expected) {
      problems.push_back(absl::StrCat("'", name, "' is ",
                                      ShapeText(it->second.shape),
                                      ", expected ", ShapeText(expected)));
    }
  }
  for (const auto& [name, tensor] : surplus) {
    problems.push_back(absl::StrCat("unknown '", absl::Utf8SafeCHexEscape(name),
                                    "' ", ShapeText(tensor.shape)));
  }
  if (!problems.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source,
        ": not a student's state dict: ", absl::StrJoin(problems, "; ")));
  }
  KODISTIL_RETURN_IF_ERROR(Annotate(shape.Validate(), source));
  return shape;
}

absl::StatusOr<StudentFolder> ConvertCheckpoint(const ConvertOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const TorchCheckpoint checkpoint,
                            TorchCheckpoint::Open(options.checkpoint));
  StudentFolder student;
  KODISTIL_ASSIGN_OR_RETURN(
      student.shape,
      InferStudentShape(checkpoint.tensors(), options.checkpoint));
  KODISTIL_ASSIGN_OR_RETURN(
      student.weights, ReadWeights(checkpoint.tensors(), options.checkpoint));
  KODISTIL_ASSIGN_OR_RETURN(student.vocab, ReadFile(options.vocab));
  student.tokenizer.lower_case = options.lower_case;
  student.max_length = options.max_length;
  KODISTIL_ASSIGN_OR_RETURN(
      const auto tokenizer,
      WordPieceTokenizer::Create(student.vocab, options.vocab,
                                 student.tokenizer));
  if (tokenizer->vocab_size() != student.shape.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.vocab, " has ", tokenizer->vocab_size(), " pieces, but ",
        options.checkpoint, " was trained with ", student.shape.vocab_size,
        " (the rows of embedding.weight)"));
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string digest,
                            Sha256HexOfFile(options.checkpoint));
  student.provenance_json = Provenance(digest, Sha256Hex(student.vocab));
  KODISTIL_RETURN_IF_ERROR(SaveStudent(student, options.output));
  return student;
}

}  // namespace kodistil
