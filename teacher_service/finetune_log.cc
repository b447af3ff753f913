#include "teacher_service/finetune_log.h"

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {

absl::StatusOr<FinetuneLog> FinetuneLog::Open(const std::string& path,
                                              int64_t step) {
  std::string kept;
  if (FileExists(path)) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (json.is_discarded() || !json.is_object()) break;
      if (json.value("step", int64_t{0}) > step) break;
      absl::StrAppend(&kept, line, "\n");
    }
  }
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(path, kept));
  return FinetuneLog(path);
}

absl::Status FinetuneLog::Append(const FinetuneRecord& record) {
  std::ofstream file(path_, std::ios::app);
  file << RecordJson(record) << "\n";
  file.flush();
  if (file.good()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(path_, ": cannot be written to"));
}

std::string RecordJson(const FinetuneRecord& record) {
  nlohmann::ordered_json json = {{"split", record.split},
                                 {"step", record.step},
                                 {"epoch", record.epoch},
                                 {"loss", record.loss}};
  if (record.accuracy >= 0) json["accuracy"] = record.accuracy;
  if (record.split == "train") {
    json["learning_rate"] = record.learning_rate;
    json["gradient_norm"] = record.gradient_norm;
  }
  if (record.rows_per_second > 0) {
    json["rows_per_second"] = record.rows_per_second;
  }
  return json.dump();
}

}  // namespace kodistil
