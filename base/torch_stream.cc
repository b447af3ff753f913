#include "base/torch_stream.h"

#include <string.h>

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/pickle_machine.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// The first pickle: the number 0x1950a86a20f9469cfc6c (MAGIC_NUMBER of PyTorch
// 1.13's torch/serialization.py, whose _legacy_save writes all that is read
// here).
constexpr absl::string_view kMagic(
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr int64_t kProtocol = 1001;
constexpr uint64_t kCountBytes = sizeof(int64_t);

// A pickle of plain values: no symbols, so no storages and no calls.
class PlainMachine final : public PickleMachine {
 public:
  PlainMachine(absl::string_view pickle, const std::string& source,
               size_t origin)
      : PickleMachine(pickle, source, origin) {}
  using PickleMachine::size;

  // An int that must be `kProtocol`.
  absl::Status CheckProtocol() {
    KODISTIL_ASSIGN_OR_RETURN(const Id root, Run());
    KODISTIL_RETURN_IF_ERROR(Expect(root, Kind::kInt, "the protocol"));
    if (value(root).number == kProtocol) return absl::OkStatus();
    return Refused(absl::StrCat("protocol ", value(root).number, ", expected ",
                                kProtocol));
  }

  // A dict about the machine that wrote the file. Its sizes of C types say
  // nothing about a storage, whose type has a size of its own.
  absl::Status CheckMachine() {
    KODISTIL_ASSIGN_OR_RETURN(const Id root, Run());
    KODISTIL_RETURN_IF_ERROR(
        Expect(root, Kind::kDict, "the description of the machine"));
    for (const auto& [key, id] : value(root).entries) {
      if (value(key).text != "little_endian") continue;
      KODISTIL_RETURN_IF_ERROR(Expect(id, Kind::kBool, "little_endian"));
      if (value(id).number == 0) {
        return Refused("written on a big-endian machine");
      }
    }
    return absl::OkStatus();
  }

  // A list of distinct strings.
  absl::StatusOr<std::vector<std::string>> Keys() {
    KODISTIL_ASSIGN_OR_RETURN(const Id root, Run());
    KODISTIL_RETURN_IF_ERROR(Expect(root, Kind::kList, "the list of storages"));
    std::set<std::string> seen;
    std::vector<std::string> keys;
    for (const Id id : value(root).items) {
      KODISTIL_RETURN_IF_ERROR(Expect(id, Kind::kString, "a storage's key"));
      keys.emplace_back(value(id).text.substr(0, kMaxKeyBytes));
      if (!seen.insert(keys.back()).second) {
        return Refused(absl::StrCat("storage '",
                                    absl::Utf8SafeCHexEscape(keys.back()),
                                    "' is listed twice"));
      }
    }
    return keys;
  }

 private:
  // Longer than any that ParseStateDictPickle takes, so that it matches none.
  static constexpr size_t kMaxKeyBytes = 300;

  absl::Status Global(absl::string_view, absl::string_view) override {
    return Refused("a symbol beside the state dict");
  }
  absl::Status PersistentId(Id) override {
    return Refused("a storage beside the state dict");
  }
  absl::Status Reduce(Id, Id) override {
    return Refused("a call beside the state dict");
  }
  absl::Status Build(Id) override {
    return Refused("a call beside the state dict");
  }
};

// Reads one stream from its start. Not reusable.
class StreamParser {
 public:
  StreamParser(absl::string_view bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  absl::StatusOr<TorchStream> Parse();

 private:
  absl::Status Damaged(absl::string_view what) const {
    return absl::DataLossError(
        absl::StrCat(source_, " byte ", at_, ": ", what));
  }
  absl::string_view rest() const { return bytes_.substr(at_); }
  absl::StatusOr<std::vector<std::string>> ReadKeys();
  absl::StatusOr<absl::string_view> ReadStorage(const std::string& key,
                                                const StorageInfo& storage);

  const absl::string_view bytes_;
  const std::string& source_;
  size_t at_ = 0;
};

absl::StatusOr<TorchStream> StreamParser::Parse() {
  if (!IsTorchStream(bytes_)) {
    return Damaged("not a stream of torch.save");
  }
  at_ = kMagic.size();
  PlainMachine protocol(rest(), source_, at_);
  KODISTIL_RETURN_IF_ERROR(protocol.CheckProtocol());
  at_ += protocol.size();
  PlainMachine machine(rest(), source_, at_);
  KODISTIL_RETURN_IF_ERROR(machine.CheckMachine());
  at_ += machine.size();
  KODISTIL_ASSIGN_OR_RETURN(
      StateDictPickle pickle,
      ParseStateDictPickle(rest(), source_, TorchContainer::kStream, at_));
  at_ += pickle.size;
  TorchStream stream;
  stream.tensors = std::move(pickle.tensors);
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> keys, ReadKeys());
  for (const std::string& key : keys) {
    const auto storage = pickle.storages.find(key);
    if (storage == pickle.storages.end()) {
      return Damaged(absl::StrCat("storage '", absl::Utf8SafeCHexEscape(key),
                                  "' is listed, but belongs to no tensor"));
    }
    KODISTIL_ASSIGN_OR_RETURN(stream.storages[key],
                              ReadStorage(key, storage->second));
  }
  if (!rest().empty()) {
    return Damaged(absl::StrCat(rest().size(), " bytes follow the last of ",
                                keys.size(), " storages"));
  }
  return stream;
}

absl::StatusOr<std::vector<std::string>> StreamParser::ReadKeys() {
  PlainMachine machine(rest(), source_, at_);
  KODISTIL_ASSIGN_OR_RETURN(std::vector<std::string> keys, machine.Keys());
  at_ += machine.size();
  return keys;
}

// The number of elements, then their bytes.
absl::StatusOr<absl::string_view> StreamParser::ReadStorage(
    const std::string& key, const StorageInfo& storage) {
  const std::string quoted =
      absl::StrCat("storage '", absl::Utf8SafeCHexEscape(key), "'");
  int64_t count;
  if (rest().size() < kCountBytes) {
    return Damaged(absl::StrCat("the file ends before ", quoted));
  }
  memcpy(&count, rest().data(), kCountBytes);
  if (count != storage.elements) {
    return Damaged(absl::StrCat(quoted, " has ", count,
                                " elements, the state dict says ",
                                storage.elements));
  }
  const uint64_t left = rest().size() - kCountBytes;
  const uint64_t size = DtypeBytes(storage.dtype);
  if (static_cast<uint64_t>(count) > left / size) {
    return Damaged(absl::StrCat(quoted, " has ", count, " elements of ", size,
                                " bytes, ", left, " bytes are left"));
  }
  const absl::string_view content =
      rest().substr(kCountBytes, static_cast<uint64_t>(count) * size);
  at_ += kCountBytes + content.size();
  return content;
}

}  // namespace

bool IsTorchStream(absl::string_view bytes) {
  return absl::StartsWith(bytes, kMagic);
}

absl::StatusOr<TorchStream> ParseTorchStream(absl::string_view bytes,
                                             const std::string& source) {
  return StreamParser(bytes, source).Parse();
}

}  // namespace kodistil
