#include "base/torch_pickle.h"

#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/pickle_machine.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr size_t kMaxRank = 8;
constexpr size_t kMaxKeyBytes = 256;

enum class Symbol {
  kOrderedDict,
  kRebuildTensor,
  kRebuildParameter,
  kStorage,
};

struct SymbolEntry {
  absl::string_view module;
  absl::string_view name;
  Symbol symbol;
  absl::string_view dtype;  // of a storage
};

constexpr SymbolEntry kSymbols[] = {
    {"collections", "OrderedDict", Symbol::kOrderedDict, ""},
    {"torch._utils", "_rebuild_tensor_v2", Symbol::kRebuildTensor, ""},
    {"torch._utils", "_rebuild_parameter", Symbol::kRebuildParameter, ""},
    {"torch", "FloatStorage", Symbol::kStorage, "F32"},
    {"torch", "HalfStorage", Symbol::kStorage, "F16"},
    {"torch", "BFloat16Storage", Symbol::kStorage, "BF16"},
    {"torch", "DoubleStorage", Symbol::kStorage, "F64"},
    {"torch", "LongStorage", Symbol::kStorage, "I64"},
    {"torch", "IntStorage", Symbol::kStorage, "I32"},
    {"torch", "ShortStorage", Symbol::kStorage, "I16"},
    {"torch", "CharStorage", Symbol::kStorage, "I8"},
    {"torch", "ByteStorage", Symbol::kStorage, "U8"},
    {"torch", "BoolStorage", Symbol::kStorage, "BOOL"},
};

class StateDictMachine final : public PickleMachine {
 public:
  StateDictMachine(absl::string_view pickle, const std::string& source,
                   TorchContainer container, size_t origin)
      : PickleMachine(pickle, source, origin), container_(container) {}

  absl::StatusOr<StateDictPickle> Parse();

 private:
  absl::Status Global(absl::string_view module,
                      absl::string_view name) override;
  absl::Status PersistentId(Id id) override;
  absl::Status Reduce(Id function, Id arguments) override;
  absl::Status Build(Id object) override {
    // Modules' versions ("_metadata"), of no use here.
    return Expect(object, Kind::kOrderedDict, "what is built");
  }
  absl::Status CheckFields(const std::vector<Id>& items);
  absl::Status AddStorage(absl::string_view key, StorageInfo storage);
  absl::Status RebuildTensor(const std::vector<Id>& arguments);
  absl::StatusOr<std::vector<int64_t>> Axes(Id tuple, absl::string_view what);

  const TorchContainer container_;
  std::vector<PickledTensor> tensors_;
  std::map<std::string, StorageInfo> storages_;
};

absl::Status StateDictMachine::Global(absl::string_view module,
                                      absl::string_view name) {
  for (size_t i = 0; i < std::size(kSymbols); ++i) {
    if (kSymbols[i].module != module || kSymbols[i].name != name) continue;
    Value value;
    value.kind = Kind::kSymbol;
    value.number = static_cast<int64_t>(i);
    return Push(std::move(value));
  }
  return Refused(absl::StrCat(
      "asks for ", absl::CHexEscape(module.substr(0, 100)), ".",
      absl::CHexEscape(name.substr(0, 100)),
      ", which no state dict needs; nothing was run. If the file is a whole "
      "model, save its state_dict() instead"));
}

// ("storage", type, key, location, elements), and in a stream the view of
// another storage. The location is where the tensor lay when it was saved and
// says nothing about the file.
absl::Status StateDictMachine::CheckFields(const std::vector<Id>& items) {
  const size_t expected = container_ == TorchContainer::kStream ? 6 : 5;
  if (items.size() != expected) {
    return Refused(absl::StrCat("a persistent id of ", items.size(),
                                " fields, expected ", expected));
  }
  KODISTIL_RETURN_IF_ERROR(Expect(items[0], Kind::kString, "field 1"));
  KODISTIL_RETURN_IF_ERROR(Expect(items[1], Kind::kSymbol, "the type"));
  KODISTIL_RETURN_IF_ERROR(Expect(items[2], Kind::kString, "the key"));
  KODISTIL_RETURN_IF_ERROR(Expect(items[3], Kind::kString, "the location"));
  KODISTIL_RETURN_IF_ERROR(Expect(items[4], Kind::kInt, "the length"));
  if (value(items[2]).text.size() > kMaxKeyBytes) {
    return Refused(absl::StrCat("a storage key of ",
                                value(items[2]).text.size(),
                                " bytes, expected at most ", kMaxKeyBytes));
  }
  if (value(items[0]).text != "storage" || value(items[4]).number < 0 ||
      kSymbols[value(items[1]).number].symbol != Symbol::kStorage) {
    return Refused("a persistent id that is no storage");
  }
  // _legacy_save of PyTorch 1.13 always writes None: the field is left from a
  // format that had views of storages.
  return expected == 5 ? absl::OkStatus()
                       : Expect(items[5], Kind::kNone, "the view");
}

absl::Status StateDictMachine::AddStorage(absl::string_view key,
                                          StorageInfo storage) {
  const StorageInfo& first =
      storages_.emplace(std::string(key), storage).first->second;
  if (first.dtype == storage.dtype && first.elements == storage.elements) {
    return absl::OkStatus();
  }
  return Refused(absl::StrCat("storage '", absl::Utf8SafeCHexEscape(key),
                              "' has ", storage.elements, " elements of ",
                              storage.dtype, " here and ", first.elements,
                              " of ", first.dtype, " before"));
}

absl::Status StateDictMachine::PersistentId(Id id) {
  KODISTIL_RETURN_IF_ERROR(Expect(id, Kind::kTuple, "a persistent id"));
  const std::vector<Id>& items = value(id).items;
  KODISTIL_RETURN_IF_ERROR(CheckFields(items));
  KODISTIL_RETURN_IF_ERROR(
      AddStorage(value(items[2]).text,
                 {std::string(kSymbols[value(items[1]).number].dtype),
                  value(items[4]).number}));
  Value storage;
  storage.kind = Kind::kStorage;
  storage.items = items;
  return Push(std::move(storage));
}

absl::Status StateDictMachine::Reduce(Id function, Id arguments) {
  const SymbolEntry& entry = kSymbols[value(function).number];
  const std::vector<Id>& items = value(arguments).items;
  if (entry.symbol == Symbol::kRebuildTensor && items.size() == 6) {
    return RebuildTensor(items);
  }
  if (entry.symbol == Symbol::kRebuildParameter && items.size() == 3) {
    // data, requires_grad, backward hooks.
    KODISTIL_RETURN_IF_ERROR(
        Expect(items[0], Kind::kTensor, "a parameter's data"));
    return PushAgain(items[0]);
  }
  if (entry.symbol == Symbol::kOrderedDict && items.empty()) {
    Value dict;
    dict.kind = Kind::kOrderedDict;
    return Push(std::move(dict));
  }
  return Refused(absl::StrCat("calls ", entry.module, ".", entry.name, " with ",
                              items.size(), " arguments"));
}

absl::Status StateDictMachine::RebuildTensor(const std::vector<Id>& arguments) {
  // storage, offset, size, stride, requires_grad, backward hooks.
  KODISTIL_RETURN_IF_ERROR(
      Expect(arguments[0], Kind::kStorage, "a tensor's storage"));
  KODISTIL_RETURN_IF_ERROR(
      Expect(arguments[1], Kind::kInt, "a tensor's offset"));
  const std::vector<Id>& storage = value(arguments[0]).items;
  PickledTensor tensor;
  tensor.dtype = std::string(kSymbols[value(storage[1]).number].dtype);
  tensor.storage = std::string(value(storage[2]).text);
  tensor.storage_elements = value(storage[4]).number;
  tensor.offset = value(arguments[1]).number;
  KODISTIL_ASSIGN_OR_RETURN(tensor.shape, Axes(arguments[2], "shape"));
  KODISTIL_ASSIGN_OR_RETURN(tensor.strides, Axes(arguments[3], "stride"));
  if (tensor.offset < 0 || tensor.shape.size() != tensor.strides.size()) {
    return Refused(
        "a tensor with a negative offset, or with another number of strides "
        "than of axes");
  }
  Value object;
  object.kind = Kind::kTensor;
  object.number = static_cast<int64_t>(tensors_.size());
  tensors_.push_back(std::move(tensor));
  return Push(std::move(object));
}

absl::StatusOr<std::vector<int64_t>> StateDictMachine::Axes(
    Id tuple, absl::string_view what) {
  KODISTIL_RETURN_IF_ERROR(Expect(tuple, Kind::kTuple, what));
  if (value(tuple).items.size() > kMaxRank) {
    return Refused(absl::StrCat("a ", what, " of ", value(tuple).items.size(),
                                " axes, expected at most ", kMaxRank));
  }
  std::vector<int64_t> axes;
  for (const Id item : value(tuple).items) {
    KODISTIL_RETURN_IF_ERROR(Expect(item, Kind::kInt, what));
    if (value(item).number < 0) {
      return Refused(absl::StrCat("a negative ", what));
    }
    axes.push_back(value(item).number);
  }
  return axes;
}

absl::StatusOr<StateDictPickle> StateDictMachine::Parse() {
  KODISTIL_ASSIGN_OR_RETURN(const Id root, Run());
  if (container_ == TorchContainer::kZip) {
    KODISTIL_RETURN_IF_ERROR(CheckNothingFollows());
  }
  if (value(root).kind != Kind::kDict) {
    KODISTIL_RETURN_IF_ERROR(
        Expect(root, Kind::kOrderedDict, "what the file holds"));
  }
  StateDictPickle result;
  for (const auto& [key, id] : value(root).entries) {
    const std::string name(value(key).text);
    const std::string quoted =
        absl::StrCat("'", absl::Utf8SafeCHexEscape(name.substr(0, 200)), "'");
    KODISTIL_RETURN_IF_ERROR(Expect(id, Kind::kTensor, quoted));
    if (!result.tensors.emplace(name, tensors_[value(id).number]).second) {
      return Refused(absl::StrCat("tensor ", quoted, " is there twice"));
    }
  }
  result.storages = std::move(storages_);
  result.size = size();
  return result;
}

}  // namespace

int64_t DtypeBytes(absl::string_view dtype) {
  if (dtype == "F64" || dtype == "I64") return 8;
  if (dtype == "F32" || dtype == "I32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 1;
  return 0;
}

absl::StatusOr<StateDictPickle> ParseStateDictPickle(absl::string_view pickle,
                                                     const std::string& source,
                                                     TorchContainer container,
                                                     size_t origin) {
  return StateDictMachine(pickle, source, container, origin).Parse();
}

}  // namespace kodistil
