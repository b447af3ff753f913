// Makes ZIP archives, pickles and PyTorch checkpoints for tests, good ones and
// bad ones.

#ifndef KODISTIL_BASE_CHECKPOINT_TESTING_H_
#define KODISTIL_BASE_CHECKPOINT_TESTING_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kodistil {

struct ZipMemberForTest {
  std::string name;
  std::string content;
  uint16_t method = 0;
  uint16_t flags = 0x808;  // data descriptor and UTF-8, as torch.save sets
};

// An archive laid out as torch.save does it, data descriptors included. `zip64`
// adds the ZIP64 end records.
std::string MakeZip(const std::vector<ZipMemberForTest>& members,
                    bool zip64 = false);

// The pickle of ("storage", torch.<type>, key, "cuda:0", elements), made a
// storage by BINPERSID.
std::string PickledStorage(const std::string& type, const std::string& key,
                           int32_t elements);
// _rebuild_tensor_v2 of a storage's pickle.
std::string PickledTensorCall(const std::string& storage, int32_t offset,
                              const std::vector<int32_t>& shape,
                              const std::vector<int32_t>& strides);
std::string PickledText(const std::string& text);
std::string PickledInt(int32_t number);
// A whole pickle: an OrderedDict of `items` (pickles of values by name).
std::string PickledDict(
    const std::vector<std::pair<std::string, std::string>>& items);

// As PickledStorage, with the sixth field of a stream.
std::string PickledStreamStorage(const std::string& type,
                                 const std::string& key, int32_t elements);

// A stream of torch.save before PyTorch 1.6: five pickles, then the storages.
// As it is, a good one without tensors.
struct TorchStreamForTest {
  std::string magic = {
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15};
  std::string protocol = "\x80\x02M\xe9\x03.";
  std::string machine = "\x80\x02}" + PickledText("little_endian") + "\x88s.";
  std::string state_dict = "\x80\x02}.";
  std::string keys = "\x80\x02].";
  std::string storages;

  // The pickle of a list of the keys.
  void SetKeys(const std::vector<std::string>& names);
  // Appends a storage: the count of elements and their bytes.
  void AddStorage(int64_t elements, const std::string& content);
  std::string Bytes() const;
};

struct FloatTensorForTest {
  std::vector<int32_t> shape;
  std::vector<float> values;
};

// What torch.save(state_dict, path) writes for contiguous float32 tensors.
std::string MakeTorchCheckpoint(
    const std::map<std::string, FloatTensorForTest>& tensors);

}  // namespace kodistil

#endif  // KODISTIL_BASE_CHECKPOINT_TESTING_H_
