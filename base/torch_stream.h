// The stream that torch.save wrote before PyTorch 1.6: five pickles, then the
// content of each storage.

#ifndef KODISTIL_BASE_TORCH_STREAM_H_
#define KODISTIL_BASE_TORCH_STREAM_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/torch_pickle.h"

namespace kodistil {

struct TorchStream {
  std::map<std::string, PickledTensor> tensors;  // by name
  // By key; as long as the pickle says.
  std::map<std::string, absl::string_view> storages;
};

// Whether a file begins as such a stream does.
bool IsTorchStream(absl::string_view bytes);

// Parses a whole file; the storages point into it. DATA_LOSS when it is
// damaged, INVALID_ARGUMENT when it holds what torch.save does not write for a
// state dict on a little-endian machine; both name `source` and the byte, and
// the opcode or the storage.
absl::StatusOr<TorchStream> ParseTorchStream(absl::string_view bytes,
                                             const std::string& source);

}  // namespace kodistil

#endif  // KODISTIL_BASE_TORCH_STREAM_H_
