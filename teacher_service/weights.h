// The weights of a Hugging Face folder, whatever files they are in.

#ifndef KODISTIL_TEACHER_SERVICE_WEIGHTS_H_
#define KODISTIL_TEACHER_SERVICE_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/safetensors.h"
#include "base/torch_checkpoint.h"

namespace kodistil {

// The tensors of one file or of all shards. Movable; thread-safe to read. The
// views point into memory-mapped files, which nothing may write to meanwhile.
class Weights {
 public:
  // By CurrentTensorName, buffers included (see IsBuffer). Valid while this
  // object, or the one that it was moved to, lives. Tied parameters of a
  // PyTorch file are several names over the same bytes.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  // 64 hexadecimal digits: SHA-256 of the one file, or over the index and the
  // name and SHA-256 of each shard.
  const std::string& digest() const { return digest_; }
  // For messages: the file, or the index of the shards.
  const std::string& path() const { return path_; }
  // For people: "safetensors", "PyTorch zip", "safetensors, 3 shards".
  const std::string& container() const { return container_; }
  // Of all files, the index included.
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  friend absl::StatusOr<Weights> OpenWeights(const std::string& model_dir);

  // Opens a file of either kind and gives its tensors by the names in it.
  absl::StatusOr<std::map<std::string, TensorView>> AddFile(
      const std::string& path);
  absl::Status OpenFile(const std::string& path);
  absl::Status OpenShards(const std::string& model_dir,
                          const std::string& index);
  absl::Status Add(const std::map<std::string, TensorView>& tensors,
                   const std::string& path);

  std::vector<SafetensorsFile> safetensors_;
  std::vector<TorchCheckpoint> checkpoints_;
  std::map<std::string, TensorView> tensors_;
  std::string last_digest_;  // of the file that AddFile opened last
  std::string digest_;
  std::string path_;
  std::string container_;
  uint64_t file_bytes_ = 0;
};

// The first that is there of model.safetensors, model.safetensors.index.json
// (with its shards), pytorch_model.bin and pytorch_model.bin.index.json, as
// Hugging Face's from_pretrained looks for them. NOT_FOUND naming all four when
// there is none; INVALID_ARGUMENT or DATA_LOSS naming the file, and the tensor
// or byte, when what is there is not allowed or damaged: an index must name
// files beside it, and exactly the tensors that are in them.
absl::StatusOr<Weights> OpenWeights(const std::string& model_dir);

// Whether one of the four files is there.
bool HasWeights(const std::string& model_dir);

// Today's name of a tensor: old checkpoints call a LayerNorm's weight gamma and
// its bias beta. (Hugging Face transformers 4.35, modeling_utils.py,
// _load_state_dict_into_model, which replaces the words wherever they stand;
// here they must be the last part of the name.)
std::string CurrentTensorName(const std::string& name);

// Whether a tensor that no network expects may be passed over: buffers that
// older versions saved and that follow from the configuration (position_ids and
// token_type_ids of embeddings; GPT-2's causal mask), and T5's relative bias of
// a cross-attention, which no version has used (_keys_to_ignore_on_load_missing
// and _keys_to_ignore_on_load_unexpected of transformers 4.35).
bool IsBuffer(absl::string_view name);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_WEIGHTS_H_
