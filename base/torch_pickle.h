// A restricted reader of the pickle inside a PyTorch checkpoint: it knows the
// few opcodes and symbols of a state dict, looks nothing up and runs nothing.

#ifndef KODISTIL_BASE_TORCH_PICKLE_H_
#define KODISTIL_BASE_TORCH_PICKLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// A tensor as the pickle describes it: a strided window on a storage, whose
// content lies elsewhere. Nothing here is checked against the storage.
struct PickledTensor {
  std::string dtype;    // as safetensors names it: "F32", "I64", ...
  std::string storage;  // key: the member data/<key> of the archive
  int64_t storage_elements = 0;
  int64_t offset = 0;            // elements
  std::vector<int64_t> shape;    // at most 8 axes, none negative
  std::vector<int64_t> strides;  // elements; as many as axes, none negative
};

// Bytes of one element; 0 for an unknown dtype.
int64_t DtypeBytes(absl::string_view dtype);

// The tensors of a state dict by name. INVALID_ARGUMENT when the pickle uses an
// opcode or a symbol outside the list or is not a dict of tensors, DATA_LOSS
// when it is damaged; both name `source`, the byte and the opcode.
absl::StatusOr<std::map<std::string, PickledTensor>> ParseStateDictPickle(
    absl::string_view pickle, const std::string& source);

}  // namespace kodistil

#endif  // KODISTIL_BASE_TORCH_PICKLE_H_
