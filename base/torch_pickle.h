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

// A storage that the pickle names.
struct StorageInfo {
  std::string dtype;
  int64_t elements = 0;
};

struct StateDictPickle {
  std::map<std::string, PickledTensor> tensors;  // by name
  std::map<std::string, StorageInfo> storages;   // by key
  size_t size = 0;                               // of the pickle, in bytes
};

// What a pickle is a part of: in a stream, storages have one field more.
enum class TorchContainer { kZip, kStream };

// Bytes of one element; 0 for an unknown dtype.
int64_t DtypeBytes(absl::string_view dtype);

// The tensors of a state dict by name. In a ZIP archive `pickle` is a whole
// member; in a stream it begins at byte `origin` of the file, and other things
// follow. INVALID_ARGUMENT when the pickle uses an opcode or a symbol outside
// the list or is not a dict of tensors, DATA_LOSS when it is damaged; both name
// `source`, the byte and the opcode.
absl::StatusOr<StateDictPickle> ParseStateDictPickle(absl::string_view pickle,
                                                     const std::string& source,
                                                     TorchContainer container,
                                                     size_t origin = 0);

}  // namespace kodistil

#endif  // KODISTIL_BASE_TORCH_PICKLE_H_
