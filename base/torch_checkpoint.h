// Tensors of a PyTorch checkpoint (torch.save of a state dict), read without
// running anything that is in it.

#ifndef KODISTIL_BASE_TORCH_CHECKPOINT_H_
#define KODISTIL_BASE_TORCH_CHECKPOINT_H_

#include <deque>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/safetensors.h"

namespace kodistil {

// A memory-mapped file. Movable; thread-safe to read.
class TorchCheckpoint {
 public:
  // Reads the ZIP archive of PyTorch 1.6 and later, and the stream of earlier
  // versions. INVALID_ARGUMENT when the file is of another kind (TorchScript,
  // tar), holds more than a dict of tensors, or asks for anything a state dict
  // does not need; DATA_LOSS when it is damaged; NOT_FOUND when there is none.
  // All name the path and the byte, the opcode or the tensor.
  static absl::StatusOr<TorchCheckpoint> Open(const std::string& path);

  // By PyTorch's name, in row-major order whatever the strides were. The views
  // live as long as this object.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  // The whole file.
  absl::string_view bytes() const { return file_.bytes(); }
  // For people: "PyTorch zip" or "PyTorch stream".
  const char* container() const;

 private:
  MappedFile file_;
  std::deque<std::string> copies_;  // of tensors that are not contiguous
  std::map<std::string, TensorView> tensors_;
};

// Parses a whole file's bytes; the views point into them and into `copies`.
// `source` is named in errors.
absl::Status ParseTorchCheckpoint(absl::string_view bytes,
                                  const std::string& source,
                                  std::deque<std::string>* copies,
                                  std::map<std::string, TensorView>* tensors);

}  // namespace kodistil

#endif  // KODISTIL_BASE_TORCH_CHECKPOINT_H_
