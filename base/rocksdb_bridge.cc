#include "base/rocksdb_bridge.h"

#include <glog/logging.h>

#include <cstdarg>
#include <cstdio>
#include <string>

#include "absl/strings/match.h"

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
