// The safetensors container, read strictly and written
// (https://github.com/huggingface/safetensors, format section).

#ifndef KODISTIL_BASE_SAFETENSORS_H_
#define KODISTIL_BASE_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/files.h"

namespace kodistil {

// A tensor's bytes where they lie. The bytes belong to whoever gave the view.
struct TensorView {
  std::string dtype;           // "F32", "F16", "BF16", "F64", "I64", "I32", ...
  std::vector<int64_t> shape;  // empty for a scalar
  absl::string_view bytes;     // row-major, little-endian

  int64_t elements() const;
};

// A memory-mapped file. Movable; thread-safe to read.
class SafetensorsFile {
 public:
  // DATA_LOSS naming the path, the byte or the tensor, what was found and what
  // was expected; NOT_FOUND when there is no file.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  // By name. The views live as long as this object.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }
  // The whole file.
  absl::string_view bytes() const { return file_.bytes(); }

 private:
  MappedFile file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Parses a whole file's bytes; the views point into them. `source` is named in
// errors.
absl::Status ParseSafetensors(absl::string_view bytes,
                              const std::string& source,
                              std::map<std::string, TensorView>* tensors,
                              std::map<std::string, std::string>* metadata);

// A file's bytes: tensors in name order, header padded to 8 bytes. The same
// input gives the same bytes.
std::string SerializeSafetensors(
    const std::map<std::string, TensorView>& tensors,
    const std::map<std::string, std::string>& metadata);

// Values of a floating tensor (F64, F32, F16, BF16) as float32.
// INVALID_ARGUMENT for another dtype.
absl::StatusOr<std::vector<float>> ToFloats(const TensorView& tensor);

}  // namespace kodistil

#endif  // KODISTIL_BASE_SAFETENSORS_H_
