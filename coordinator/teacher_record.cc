#include "coordinator/teacher_record.h"

#include <sys/stat.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/format_version.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kVersion = 1;

// Copies json[key] to *value where it is there with the type of *value.
template <typename Value>
void Read(const Json& json, const char* key, Value* value) {
  const auto it = json.find(key);
  if (it == json.end()) return;
  if constexpr (std::is_same_v<Value, std::string>) {
    if (it->is_string()) *value = it->get<std::string>();
  } else {
    if (it->is_number()) *value = it->get<Value>();
  }
}

}  // namespace

absl::StatusOr<TeacherRecord> LoadTeacherRecord(const std::string& path) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::DataLossError(absl::StrCat(path, ": expected a JSON object"));
  }
  // The first ones had none.
  uint64_t version = 1;
  Read(json, "format_version", &version);
  KODISTIL_RETURN_IF_ERROR(CheckFormatVersion(
      {"teacher's record", 1, kVersion, "or delete it"}, path, version));
  TeacherRecord record;
  Read(json, "name", &record.name);
  Read(json, "fingerprint", &record.fingerprint);
  Read(json, "num_classes", &record.num_classes);
  Read(json, "parameters", &record.parameters);
  Read(json, "max_length", &record.max_length);
  Read(json, "signature", &record.signature);
  Read(json, "train_seconds", &record.train_seconds);
  Read(json, "label_seconds", &record.label_seconds);
  Read(json, "rows_labelled", &record.rows_labelled);
  Read(json, "dataset_fingerprint", &record.dataset_fingerprint);
  Read(json, "dataset_digest", &record.dataset_digest);
  Read(json, "correct", &record.correct);
  Read(json, "total", &record.total);
  return record;
}

absl::Status SaveTeacherRecord(const TeacherRecord& record,
                               const std::string& path) {
  Json json;
  json["format_version"] = kVersion;
  json["name"] = record.name;
  json["fingerprint"] = record.fingerprint;
  json["num_classes"] = record.num_classes;
  json["parameters"] = record.parameters;
  json["max_length"] = record.max_length;
  json["signature"] = record.signature;
  json["train_seconds"] = record.train_seconds;
  json["label_seconds"] = record.label_seconds;
  json["rows_labelled"] = record.rows_labelled;
  json["dataset_fingerprint"] = record.dataset_fingerprint;
  json["dataset_digest"] = record.dataset_digest;
  json["correct"] = record.correct;
  json["total"] = record.total;
  return WriteFileAtomically(
      path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

absl::StatusOr<std::string> FolderSignature(const std::string& folder) {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(folder));
  std::string signature;
  for (const std::string& name : names) {
    struct stat info;
    if (stat(JoinPath(folder, name).c_str(), &info) != 0) continue;
    absl::StrAppend(&signature, name, ":", info.st_size, ":",
                    info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, " ");
  }
  return signature;
}

}  // namespace kodistil
