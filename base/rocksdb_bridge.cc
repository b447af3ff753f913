#include "base/rocksdb_bridge.h"

#include <glog/logging.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"

namespace kodistil {

absl::Status FromRocksDbStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = status.ToString();
  if (status.IsNotFound()) return absl::NotFoundError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsInvalidArgument()) return absl::InvalidArgumentError(message);
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  if (status.IsBusy() || status.IsTryAgain() || status.IsIncomplete() ||
      (status.IsIOError() && absl::StrContains(message, "lock"))) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(message);
}

absl::Status CheckCurrentFile(const std::string& path) {
  if (FileExists(JoinPath(path, "CURRENT")) || !IsDirectory(path)) {
    return absl::OkStatus();
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(path));
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".sst") && !absl::EndsWith(name, ".log")) {
      continue;
    }
    // The log of a database that was just made is empty.
    std::error_code error;
    if (std::filesystem::file_size(JoinPath(path, name), error) == 0) continue;
    return absl::DataLossError(
        absl::StrCat(path, " has ", name,
                     " but no file CURRENT, a line that names the newest "
                     "MANIFEST-..."));
  }
  return absl::OkStatus();
}

namespace {

class RocksDbLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format,
            va_list arguments) override {
    const bool error = level == rocksdb::InfoLogLevel::ERROR_LEVEL ||
                       level == rocksdb::InfoLogLevel::FATAL_LEVEL;
    if (!error && !VLOG_IS_ON(1)) return;
    char text[1000];
    std::vsnprintf(text, sizeof(text), format, arguments);
    if (error) {
      LOG(WARNING) << "RocksDB: " << text;
    } else {
      VLOG(1) << "RocksDB: " << text;
    }
  }
};

}  // namespace

std::shared_ptr<rocksdb::Logger> NewRocksDbLogger() {
  return std::make_shared<RocksDbLogger>();
}

}  // namespace kodistil
