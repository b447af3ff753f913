// Makes a student's folder of a state dict that PyTorch saved.

#ifndef KODISTIL_STUDENT_TRAINER_CONVERTER_H_
#define KODISTIL_STUDENT_TRAINER_CONVERTER_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/safetensors.h"
#include "student_trainer/student.h"

namespace kodistil {

struct ConvertOptions {
  // A state dict of the seed's network, saved by torch.save.
  std::string checkpoint;
  // The vocabulary it was trained with: as many pieces as the embedding has
  // rows.
  std::string vocab;
  // The folder to make.
  std::string output;
  // How it was tokenised.
  bool lower_case = true;
  // Tokens a row, [CLS] and [SEP] included, 2 or more.
  int max_length = 256;

  absl::Status Validate() const;
};

// The shape that the tensors' names and shapes tell. INVALID_ARGUMENT naming
// `source` and every tensor that is missing, has another shape than the rest
// asks for, or is none of the network's.
absl::StatusOr<StudentShape> InferStudentShape(
    const std::map<std::string, TensorView>& tensors,
    const std::string& source);

// Reads the checkpoint and writes the folder; returns what it wrote. Errors
// name the file.
absl::StatusOr<StudentFolder> ConvertCheckpoint(const ConvertOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_CONVERTER_H_
