#include "logit_store/rocksdb_open.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "logit_store/logit_format.h"
#include "rocksdb/convenience.h"
#include "rocksdb/options.h"
#include "rocksdb/slice_transform.h"

namespace kodistil {
namespace {

// The set that a key of logits belongs to. Logits alone: RocksDB 7.8 confuses
// the hints of keys and of ranges that are deleted.
class SetOfLogits final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "kodistil.SetOfLogits"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), key.size() - sizeof(uint64_t)};
  }
  bool InDomain(const rocksdb::Slice& key) const override {
    return IsLogitKey({key.data(), key.size()});
  }
};

rocksdb::Options DatabaseOptions(const RocksDbLogitStoreOptions& wanted) {
  rocksdb::Options options;
  options.create_if_missing = true;
  // A damaged record in the middle of the log is an error, not a silent end; a
  // torn last one is what kill -9 leaves and was never acknowledged.
  options.wal_recovery_mode =
      wanted.salvage ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
                     : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.write_buffer_size = wanted.write_buffer_bytes;
  // Labelling writes neighbours: each is put behind the one before without a
  // search.
  options.allow_concurrent_memtable_write = false;
  options.memtable_insert_with_hint_prefix_extractor =
      std::make_shared<SetOfLogits>();
  // LogitDatabase resumes.
  options.max_bgerror_resume_count = 0;
  options.track_and_verify_wals_in_manifest = !wanted.salvage;
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::find(supported.begin(), supported.end(),
                             rocksdb::kLZ4Compression) != supported.end();
  options.compression =
      lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  options.max_background_jobs = 2;
  options.info_log = NewRocksDbLogger();
  options.stats_dump_period_sec = 0;
  return options;
}

bool HeldByAnother(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && absl::StrContains(text, "lock") &&
         (absl::StrContains(text, "temporarily unavailable") ||
          absl::StrContains(text, "current process"));
}

// The entry of a new folder in its parent.
absl::Status SyncParent(const std::string& path) {
  const std::string parent = JoinPath(path, "..");
  const int fd = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (synced) return absl::OkStatus();
  return absl::ErrnoToStatus(error, absl::StrCat("cannot sync ", parent));
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenToWrite(
    const RocksDbLogitStoreOptions& options,
    const rocksdb::Options& database_options) {
  const bool is_new = !IsDirectory(options.path);
  KODISTIL_RETURN_IF_ERROR(
      Annotate(MakeDirectories(options.path), "logit store"));
  if (access(options.path.c_str(), W_OK) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        "logit store ", options.path, ": the folder is not writable"));
  }
  if (is_new) KODISTIL_RETURN_IF_ERROR(SyncParent(options.path));
  const absl::Time end = absl::Now() + options.lock_wait;
  for (;;) {
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::Open(database_options, options.path, &db);
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
    const std::string& path, const rocksdb::Options& database_options) {
  // The process that has the store open may replace files between our reading
  // of the list and of the files.
  constexpr int kTries = 5;
  for (int attempt = 1;; ++attempt) {
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::OpenForReadOnly(database_options, path, &db);
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
  if (lock_wait < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "lock_wait ", absl::FormatDuration(lock_wait), ": expected 0 or more"));
  }
  if (std::min(resume_interval, resume_limit) <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("resume_interval ", absl::FormatDuration(resume_interval),
                     ", resume_limit ", absl::FormatDuration(resume_limit),
                     ": expected more than 0"));
  }
  if (write_buffer_bytes >= 64 << 10) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "write_buffer_bytes ", write_buffer_bytes, ": expected 65536 or more"));
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenRocksDb(
    const RocksDbLogitStoreOptions& options,
    const std::shared_ptr<rocksdb::EventListener>& listener) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_RETURN_IF_ERROR(
      Annotate(CheckCurrentFile(options.path), "logit store"));
  const bool create = options.create_if_missing && !options.read_only;
  if (!create && !FileExists(JoinPath(options.path, "CURRENT"))) {
    return absl::NotFoundError(
        absl::StrCat("no logit store at ", options.path,
                     ": expected the folder of a RocksDB database"));
  }
  rocksdb::Options database_options = DatabaseOptions(options);
  if (options.env != nullptr) database_options.env = options.env.get();
  if (listener != nullptr) database_options.listeners.push_back(listener);
  return options.read_only ? OpenToRead(options.path, database_options)
                           : OpenToWrite(options, database_options);
}

}  // namespace kodistil
