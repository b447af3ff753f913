#include "base/checkpoint_testing.h"

#include <string.h>

#include "absl/strings/str_cat.h"
#include "base/stored_zip.h"

namespace kodistil {
namespace {

template <typename T>
std::string Raw(T value) {
  std::string bytes(sizeof(value), '\0');
  memcpy(&bytes[0], &value, sizeof(value));
  return bytes;
}

std::string PickledAxes(const std::vector<int32_t>& axes) {
  std::string pickle = "(";
  for (const int32_t axis : axes) pickle += PickledInt(axis);
  return pickle + "t";
}

}  // namespace

std::string MakeZip(const std::vector<ZipMemberForTest>& members, bool zip64) {
  std::string zip;
  std::string directory;
  for (const ZipMemberForTest& member : members) {
    const uint32_t crc = ZipCrc32(member.content);
    const uint32_t size = member.content.size();
    const bool described = (member.flags & 8) != 0;
    const std::string sizes = Raw(crc) + Raw(size) + Raw(size);
    const std::string common =
        Raw(member.flags) + Raw(member.method) + Raw(uint32_t{0});
    const std::string name_size =
        Raw(static_cast<uint16_t>(member.name.size()));
    directory +=
        absl::StrCat("PK\x01\x02", Raw(uint32_t{0}), common, sizes, name_size,
                     std::string(12, '\0'),
                     Raw(static_cast<uint32_t>(zip.size())), member.name);
    zip += absl::StrCat("PK\x03\x04", Raw(uint16_t{0}), common,
                        described ? std::string(12, '\0') : sizes, name_size,
                        Raw(uint16_t{0}), member.name, member.content,
                        described ? "PK\x07\x08" + sizes : "");
  }
  const uint64_t begin = zip.size();
  const uint64_t count = members.size();
  const uint64_t bytes = directory.size();
  zip += directory;
  if (zip64) {
    const uint64_t end = zip.size();
    zip += absl::StrCat("PK\x06\x06", Raw(uint64_t{44}), Raw(uint32_t{0}),
                        std::string(8, '\0'), Raw(count), Raw(count),
                        Raw(bytes), Raw(begin));
    zip += absl::StrCat("PK\x06\x07", Raw(uint32_t{0}), Raw(end),
                        Raw(uint32_t{1}));
  }
  return zip + absl::StrCat("PK\x05\x06", Raw(uint32_t{0}),
                            Raw(static_cast<uint16_t>(count)),
                            Raw(static_cast<uint16_t>(count)),
                            Raw(static_cast<uint32_t>(bytes)),
                            Raw(static_cast<uint32_t>(begin)),
                            Raw(uint16_t{0}));
}

std::string PickledText(const std::string& text) {
  return absl::StrCat("X", Raw(static_cast<uint32_t>(text.size())), text);
}

std::string PickledInt(int32_t number) {
  return absl::StrCat("J", Raw(number));
}

std::string PickledStorage(const std::string& type, const std::string& key,
                           int32_t elements) {
  return absl::StrCat("(", PickledText("storage"), "ctorch\n", type, "\n",
                      PickledText(key), PickledText("cuda:0"),
                      PickledInt(elements), "tQ");
}

std::string PickledStreamStorage(const std::string& type,
                                 const std::string& key, int32_t elements) {
  return absl::StrCat("(", PickledText("storage"), "ctorch\n", type, "\n",
                      PickledText(key), PickledText("cpu"),
                      PickledInt(elements), "NtQ");
}

void TorchStreamForTest::SetKeys(const std::vector<std::string>& names) {
  keys = "\x80\x02](";
  for (const std::string& name : names) keys += PickledText(name);
  keys += "e.";
}

void TorchStreamForTest::AddStorage(int64_t elements,
                                    const std::string& content) {
  storages += Raw(elements) + content;
}

std::string TorchStreamForTest::Bytes() const {
  return absl::StrCat(magic, protocol, machine, state_dict, keys, storages);
}

std::string PickledTensorCall(const std::string& storage, int32_t offset,
                              const std::vector<int32_t>& shape,
                              const std::vector<int32_t>& strides) {
  return absl::StrCat("ctorch._utils\n_rebuild_tensor_v2\n(", storage,
                      PickledInt(offset), PickledAxes(shape),
                      PickledAxes(strides),
                      "\x89"
                      "ccollections\nOrderedDict\n)RtR");
}

std::string PickledDict(
    const std::vector<std::pair<std::string, std::string>>& items) {
  std::string pickle =
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(";
  for (const auto& [name, value] : items) pickle += PickledText(name) + value;
  // The state that BUILD sets, as torch.save leaves it.
  return pickle + "u}" + PickledText("_metadata") +
         "ccollections\nOrderedDict\n)Rsb.";
}

std::string MakeTorchCheckpoint(
    const std::map<std::string, FloatTensorForTest>& tensors) {
  std::vector<std::pair<std::string, std::string>> items;
  std::vector<ZipMemberForTest> members(1);
  for (const auto& [name, tensor] : tensors) {
    const std::string key = absl::StrCat(members.size() - 1);
    std::vector<int32_t> strides(tensor.shape.size());
    int32_t stride = 1;
    for (size_t axis = strides.size(); axis-- > 0;) {
      strides[axis] = stride;
      stride *= tensor.shape[axis];
    }
    const std::string content(
        reinterpret_cast<const char*>(tensor.values.data()),
        tensor.values.size() * sizeof(float));
    items.emplace_back(
        name, PickledTensorCall(
                  PickledStorage("FloatStorage", key, tensor.values.size()),
                  /*offset=*/0, tensor.shape, strides));
    members.push_back({"archive/data/" + key, content});
  }
  members[0] = {"archive/data.pkl", PickledDict(items)};
  members.push_back({"archive/version", "3\n"});
  return MakeZip(members);
}

}  // namespace kodistil
