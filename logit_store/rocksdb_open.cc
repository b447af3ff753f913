#include "logit_store/rocksdb_open.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "rocksdb/convenience.h"
#include "rocksdb/options.h"

namespace kodistil {
namespace {

rocksdb::Options DatabaseOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  // A damaged record in the middle of the log is an error, not a silent end; a
  // torn last one is what kill -9 leaves and was never acknowledged.
  options.wal_recovery_mode =
      rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::find(supported.begin(), supported.end(),
                             rocksdb::kLZ4Compression) != supported.end();
  options.compression =
      lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 3;
  options.max_log_file_size = 4 << 20;
  options.stats_dump_period_sec = 0;
  return options;
}

bool HeldByAnother(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && absl::StrContains(text, "lock") &&
         (absl::StrContains(text, "temporarily unavailable") ||
          absl::StrContains(text, "current process"));
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenToWrite(
    const RocksDbLogitStoreOptions& options) {
  KODISTIL_RETURN_IF_ERROR(
      Annotate(MakeDirectories(options.path), "logit store"));
  if (access(options.path.c_str(), W_OK) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        "logit store ", options.path, ": the folder is not writable"));
  }
  const absl::Time end = absl::Now() + options.lock_wait;
  for (;;) {
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::Open(DatabaseOptions(), options.path, &db);
    if (status.ok()) return std::unique_ptr<rocksdb::DB>(db);
    if (!HeldByAnother(status)) {
      return Annotate(FromRocksDbStatus(status),
                      absl::StrCat("logit store ", options.path));
    }
    if (absl::Now() >= end) {
      return absl::UnavailableError(absl::StrCat(
          "logit store ", options.path, " is open in another process (",
          status.ToString(), ")"));
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenToRead(
    const std::string& path) {
  // The process that has the store open may replace files between our reading
  // of the list and of the files.
  constexpr int kTries = 5;
  for (int attempt = 1;; ++attempt) {
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::OpenForReadOnly(DatabaseOptions(), path, &db);
    if (status.ok()) return std::unique_ptr<rocksdb::DB>(db);
    if (attempt == kTries) {
      return Annotate(FromRocksDbStatus(status),
                      absl::StrCat("logit store ", path));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace

absl::Status RocksDbLogitStoreOptions::Validate() const {
  if (path.empty()) {
    return absl::InvalidArgumentError("the path of the logit store is empty");
  }
  if (lock_wait >= absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "lock_wait ", absl::FormatDuration(lock_wait), ": expected 0 or more"));
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenLogitDatabase(
    const RocksDbLogitStoreOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  const bool create = options.create_if_missing && !options.read_only;
  if (!create && !FileExists(JoinPath(options.path, "CURRENT"))) {
    return absl::NotFoundError(
        absl::StrCat("no logit store at ", options.path,
                     ": expected the folder of a RocksDB database"));
  }
  return options.read_only ? OpenToRead(options.path) : OpenToWrite(options);
}

}  // namespace kodistil
