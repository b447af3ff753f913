#include "base/torch_checkpoint.h"

#include <string.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/stored_zip.h"
#include "base/torch_pickle.h"
#include "base/torch_stream.h"

namespace kodistil {
namespace {

using Members = std::map<std::string, absl::string_view>;

constexpr char kSaveAgain[] =
    "load it in PyTorch and save its state_dict() again with "
    "torch.save(state_dict, path)";

// What either container holds.
struct Content {
  std::map<std::string, PickledTensor> tensors;  // by name
  Members storages;                              // by key
  // In messages, what comes before a storage's key.
  std::string prefix;

  std::string Describe(const std::string& key) const {
    return absl::StrCat(prefix, absl::Utf8SafeCHexEscape(key), "'");
  }
};

absl::Status CheckContainer(absl::string_view bytes,
                            const std::string& source) {
  absl::string_view kind;
  if (IsTorchStream(bytes)) {
    return absl::OkStatus();
  } else if (bytes.size() > 262 && bytes.substr(257, 5) == "ustar") {
    kind = "a tar archive";
  } else if (absl::StartsWith(bytes, "\x80")) {
    kind = "a bare pickle";
  } else if (absl::StartsWith(bytes, "PK\x03\x04")) {
    return absl::OkStatus();
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": not a PyTorch checkpoint: begins with '",
                     absl::CHexEscape(bytes.substr(0, 8)),
                     "', expected a ZIP archive ('PK\\x03\\x04') or the stream "
                     "of PyTorch before 1.6"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      source, ": is ", kind,
      ", which is not read; expected the ZIP archive of PyTorch 1.6 and "
      "later, or the stream of earlier versions: ",
      kSaveAgain));
}

// The folder that all members lie in, with its slash.
absl::StatusOr<std::string> RootOf(const Members& members,
                                   const std::string& source) {
  std::string root;
  for (const auto& [name, content] : members) {
    const std::string own = name.substr(0, name.find('/') + 1);
    if (own.empty() || (!root.empty() && own != root)) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": member '", absl::Utf8SafeCHexEscape(name),
                       "' does not lie in the archive's one folder '",
                       absl::Utf8SafeCHexEscape(root), "'"));
    }
    root = own;
  }
  if (members.count(root + "constants.pkl") > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": is a TorchScript archive, which is code; ",
                     "expected a state dict: ", kSaveAgain));
  }
  if (members.count(root + "data.pkl") == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": no member '", absl::Utf8SafeCHexEscape(root),
                     "data.pkl': not a PyTorch checkpoint"));
  }
  const auto order = members.find(root + "byteorder");
  if (order != members.end() && order->second != "little") {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": byte order '", absl::CHexEscape(order->second.substr(0, 16)),
        "', expected 'little'"));
  }
  return root;
}

absl::Status TensorError(const std::string& source, const std::string& name,
                         absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(source, ": tensor '",
                   absl::Utf8SafeCHexEscape(name.substr(0, 200)), "': ", what));
}

// Elements of a tensor, or -1 when it reaches beyond its storage or has more
// elements than it (as a stride of 0 can make it).
int64_t CheckedElements(const PickledTensor& tensor) {
  int64_t elements = 1;
  int64_t last = tensor.offset;
  bool empty = false;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    const int64_t size = tensor.shape[axis];
    if (size == 0) {
      empty = true;
      continue;
    }
    int64_t reach;
    if (__builtin_mul_overflow(elements, size, &elements) ||
        __builtin_mul_overflow(size - 1, tensor.strides[axis], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return -1;
    }
  }
  if (empty) return 0;
  const int64_t available = tensor.storage_elements;
  return elements <= available && last < available ? elements : -1;
}

bool IsContiguous(const PickledTensor& tensor) {
  int64_t expected = 1;
  for (size_t axis = tensor.shape.size(); axis-- > 0;) {
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != expected) {
      return false;
    }
    expected *= tensor.shape[axis];
  }
  return true;
}

// The elements in row-major order.
std::string Gather(const PickledTensor& tensor, absl::string_view record,
                   int64_t elements, int64_t element_bytes) {
  std::string bytes(elements * element_bytes, '\0');
  std::vector<int64_t> index(tensor.shape.size(), 0);
  int64_t from = tensor.offset;
  for (int64_t to = 0; to < elements; ++to) {
    memcpy(&bytes[to * element_bytes], record.data() + from * element_bytes,
           element_bytes);
    for (size_t axis = index.size(); axis-- > 0;) {
      // The stride of such an axis is not bounded.
      if (tensor.shape[axis] == 1) continue;
      from += tensor.strides[axis];
      if (++index[axis] < tensor.shape[axis]) break;
      from -= tensor.shape[axis] * tensor.strides[axis];
      index[axis] = 0;
    }
  }
  return bytes;
}

// The content of a tensor's storage, as long as the pickle says.
absl::StatusOr<absl::string_view> FindRecord(const Content& content,
                                             const std::string& source,
                                             const std::string& name,
                                             const PickledTensor& tensor) {
  const std::string quoted = content.Describe(tensor.storage);
  const auto record = content.storages.find(tensor.storage);
  if (record == content.storages.end()) {
    return TensorError(source, name, absl::StrCat("no ", quoted));
  }
  const uint64_t size = DtypeBytes(tensor.dtype);
  if (record->second.size() % size != 0 ||
      record->second.size() / size !=
          static_cast<uint64_t>(tensor.storage_elements)) {
    return TensorError(
        source, name,
        absl::StrCat("a storage of ", tensor.storage_elements, " elements of ",
                     size, " bytes, but ", quoted, " has ",
                     record->second.size(), " bytes"));
  }
  return record->second;
}

absl::StatusOr<Content> ReadZip(absl::string_view bytes,
                                const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const Members members,
                            ParseStoredZip(bytes, source));
  KODISTIL_ASSIGN_OR_RETURN(const std::string root, RootOf(members, source));
  KODISTIL_ASSIGN_OR_RETURN(
      StateDictPickle pickle,
      ParseStateDictPickle(members.at(root + "data.pkl"),
                           absl::StrCat(source, ": ", root, "data.pkl"),
                           TorchContainer::kZip));
  Content content;
  content.tensors = std::move(pickle.tensors);
  const std::string folder = root + "data/";
  for (const auto& [name, bytes_of] : members) {
    absl::string_view key = name;
    if (absl::ConsumePrefix(&key, folder)) {
      content.storages.emplace(key, bytes_of);
    }
  }
  content.prefix =
      absl::StrCat("member '", absl::Utf8SafeCHexEscape(root), "data/");
  return content;
}

absl::StatusOr<Content> ReadStream(absl::string_view bytes,
                                   const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(TorchStream stream,
                            ParseTorchStream(bytes, source));
  Content content;
  content.tensors = std::move(stream.tensors);
  content.storages = std::move(stream.storages);
  content.prefix = "storage '";
  return content;
}

}  // namespace

absl::Status ParseTorchCheckpoint(absl::string_view bytes,
                                  const std::string& source,
                                  std::deque<std::string>* copies,
                                  std::map<std::string, TensorView>* tensors) {
  KODISTIL_RETURN_IF_ERROR(CheckContainer(bytes, source));
  KODISTIL_ASSIGN_OR_RETURN(const Content content,
                            IsTorchStream(bytes) ? ReadStream(bytes, source)
                                                 : ReadZip(bytes, source));
  uint64_t copied = 0;
  for (const auto& [name, tensor] : content.tensors) {
    KODISTIL_ASSIGN_OR_RETURN(const absl::string_view record,
                              FindRecord(content, source, name, tensor));
    const int64_t size = DtypeBytes(tensor.dtype);
    const int64_t elements = CheckedElements(tensor);
    if (elements < 0) {
      return TensorError(source, name,
                         absl::StrCat("reaches beyond its storage of ",
                                      tensor.storage_elements, " elements"));
    }
    TensorView& view = (*tensors)[name];
    view.dtype = tensor.dtype;
    view.shape = tensor.shape;
    if (elements == 0) continue;
    if (IsContiguous(tensor)) {
      view.bytes = record.substr(tensor.offset * size, elements * size);
      continue;
    }
    // Many windows on one storage must not add up to more than a file.
    copied += elements * size;
    if (copied > bytes.size()) {
      return TensorError(source, name,
                         "strided tensors add up to more than the file");
    }
    copies->push_back(Gather(tensor, record, elements, size));
    view.bytes = copies->back();
  }
  return absl::OkStatus();
}

const char* TorchCheckpoint::container() const {
  return IsTorchStream(bytes()) ? "PyTorch stream" : "PyTorch zip";
}

absl::StatusOr<TorchCheckpoint> TorchCheckpoint::Open(const std::string& path) {
  TorchCheckpoint checkpoint;
  KODISTIL_ASSIGN_OR_RETURN(checkpoint.file_, MappedFile::Open(path));
  KODISTIL_RETURN_IF_ERROR(ParseTorchCheckpoint(checkpoint.file_.bytes(), path,
                                                &checkpoint.copies_,
                                                &checkpoint.tensors_));
  return checkpoint;
}

}  // namespace kodistil
