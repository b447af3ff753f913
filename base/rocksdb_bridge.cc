#include "base/rocksdb_bridge.h"

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

}  // namespace kodistil
