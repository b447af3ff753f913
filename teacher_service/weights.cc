#include "teacher_service/weights.h"

#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr const char* kFileNames[] = {
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json"};
constexpr char kIndexSuffix[] = ".index.json";
// Far above any real index.
constexpr size_t kMaxIndexBytes = 16 << 20;
constexpr size_t kMaxNameBytes = 128;

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, 200)),
                      "\"");
}

// Whether `name` can only be a file of the index's own folder.
bool IsFileName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  if (!absl::ascii_isalnum(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '-') {
      return false;
    }
  }
  return true;
}

// What an index says.
struct ShardIndex {
  // Shard -> its tensors.
  std::map<std::string, std::set<std::string>> shards;
};

// The index as a document, none of whose objects has a key twice (the document
// model would keep one of the two).
absl::StatusOr<Json> ParseUniqueKeys(absl::string_view text,
                                     const std::string& path) {
  std::vector<std::set<std::string>> open;
  std::string twice;
  const auto callback = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!open.back().insert(key).second) twice = key;
    }
    return true;
  };
  Json json = Json::parse(text, callback, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return absl::DataLossError(absl::StrCat(path, ": not JSON"));
  }
  if (!twice.empty()) {
    return absl::DataLossError(
        absl::StrCat(path, ": the key ", Quoted(twice), " is there twice"));
  }
  return json;
}

absl::StatusOr<ShardIndex> ParseShardIndex(absl::string_view text,
                                           const std::string& path) {
  if (text.size() > kMaxIndexBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": an index of ", text.size(),
                     " bytes, expected at most ", kMaxIndexBytes));
  }
  KODISTIL_ASSIGN_OR_RETURN(const Json json, ParseUniqueKeys(text, path));
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": weight_map is ", map == json.end() ? "not there" : "not one",
        ", expected an object of tensor names and their files"));
  }
  ShardIndex index;
  for (const auto& [name, file] : map->items()) {
    const std::string shard =
        file.is_string() ? file.get<std::string>() : file.dump();
    if (!file.is_string() || !IsFileName(shard)) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": tensor ", Quoted(name), " is in ", Quoted(shard),
          ", expected the name of a file in this folder (letters, digits, '.',"
          " '_' and '-', at most ",
          kMaxNameBytes, ")"));
    }
    index.shards[shard].insert(name);
  }
  return index;
}

// INVALID_ARGUMENT unless a shard holds just the tensors that the index says.
absl::Status CheckShard(const std::set<std::string>& expected,
                        const std::map<std::string, TensorView>& found,
                        const std::string& path, const std::string& index) {
  for (const std::string& name : expected) {
    if (found.count(name) > 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(path, ": no tensor ",
                                                   Quoted(name), ", which ",
                                                   index, " says is here"));
  }
  for (const auto& [name, tensor] : found) {
    if (expected.count(name) > 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": tensor ", Quoted(name), " is not in ", index, " as here"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<std::string, TensorView>> Weights::AddFile(
    const std::string& path) {
  if (absl::EndsWith(path, ".bin")) {
    KODISTIL_ASSIGN_OR_RETURN(TorchCheckpoint file,
                              TorchCheckpoint::Open(path));
    last_digest_ = Sha256Hex(file.bytes());
    file_bytes_ += file.bytes().size();
    container_ = file.container();
    checkpoints_.push_back(std::move(file));
    return checkpoints_.back().tensors();
  }
  KODISTIL_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
  last_digest_ = Sha256Hex(file.bytes());
  file_bytes_ += file.bytes().size();
  container_ = "safetensors";
  safetensors_.push_back(std::move(file));
  return safetensors_.back().tensors();
}

absl::Status Weights::Add(const std::map<std::string, TensorView>& tensors,
                          const std::string& path) {
  for (const auto& [name, tensor] : tensors) {
    if (tensors_.emplace(CurrentTensorName(name), tensor).second) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": tensor ", Quoted(name), ": there is another ",
                     Quoted(CurrentTensorName(name))));
  }
  return absl::OkStatus();
}

absl::Status Weights::OpenFile(const std::string& path) {
  KODISTIL_ASSIGN_OR_RETURN(const auto tensors, AddFile(path));
  digest_ = last_digest_;
  return Add(tensors, path);
}

absl::Status Weights::OpenShards(const std::string& model_dir,
                                 const std::string& index) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path_));
  KODISTIL_ASSIGN_OR_RETURN(const ShardIndex parsed,
                            ParseShardIndex(text, path_));
  // "model.safetensors.index.json" has shards that end in ".safetensors".
  const std::string extension =
      absl::EndsWith(index, ".bin.index.json") ? ".bin" : ".safetensors";
  Sha256 hash;
  hash.UpdateField("kodistil shards 1");
  hash.UpdateField(text);
  for (const auto& [shard, expected] : parsed.shards) {
    if (!absl::EndsWith(shard, extension)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": the shard ", Quoted(shard),
                       " does not end in ", extension));
    }
    const std::string path = JoinPath(model_dir, shard);
    KODISTIL_ASSIGN_OR_RETURN(const auto tensors, AddFile(path));
    KODISTIL_RETURN_IF_ERROR(CheckShard(expected, tensors, path, index));
    KODISTIL_RETURN_IF_ERROR(Add(tensors, path));
    hash.UpdateField(shard);
    hash.UpdateField(last_digest_);
  }
  digest_ = hash.FinishHex();
  file_bytes_ += text.size();
  absl::StrAppend(&container_, ", ", parsed.shards.size(), " shards");
  return absl::OkStatus();
}

absl::StatusOr<Weights> OpenWeights(const std::string& model_dir) {
  for (const char* name : kFileNames) {
    const std::string path = JoinPath(model_dir, name);
    if (!FileExists(path)) continue;
    Weights weights;
    weights.path_ = path;
    KODISTIL_RETURN_IF_ERROR(absl::EndsWith(name, kIndexSuffix)
                                 ? weights.OpenShards(model_dir, name)
                                 : weights.OpenFile(path));
    return weights;
  }
  return absl::NotFoundError(absl::StrCat(
      model_dir, ": no weights; looked for ", absl::StrJoin(kFileNames, ", ")));
}

bool HasWeights(const std::string& model_dir) {
  for (const char* name : kFileNames) {
    if (FileExists(JoinPath(model_dir, name))) return true;
  }
  return false;
}

std::string CurrentTensorName(const std::string& name) {
  const auto renamed = [&name](absl::string_view old, const char* now) {
    return absl::StrCat(name.substr(0, name.size() - old.size()), now);
  };
  if (absl::EndsWith(name, ".gamma")) return renamed("gamma", "weight");
  if (absl::EndsWith(name, ".beta")) return renamed("beta", "bias");
  return name;
}

bool IsBuffer(absl::string_view name) {
  return absl::EndsWith(name, ".embeddings.position_ids") ||
         absl::EndsWith(name, ".embeddings.token_type_ids") ||
         absl::EndsWith(name, ".attn.bias") ||
         absl::EndsWith(name, ".attn.masked_bias") ||
         absl::EndsWith(name,
                        ".EncDecAttention.relative_attention_bias.weight");
}

}  // namespace kodistil
