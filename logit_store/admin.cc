#include "logit_store/admin.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "logit_store/logit_format.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/rocksdb_open.h"
#include "rocksdb/convenience.h"
#include "rocksdb/env.h"
#include "rocksdb/sst_file_reader.h"
#include "rocksdb/utilities/backup_engine.h"
#include "rocksdb/utilities/checkpoint.h"
#include "rocksdb/write_batch.h"

namespace kodistil {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

absl::Status FromErrorCode(const std::error_code& error,
                           const std::string& what) {
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(), what);
}

RocksDbLogitStoreOptions StoreOptions(const std::string& path) {
  RocksDbLogitStoreOptions options;
  options.path = path;
  options.create_if_missing = false;
  options.lock_wait = absl::Seconds(1);
  return options;
}

uint64_t BytesIn(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) bytes += entry.file_size(error);
  }
  return bytes;
}

// A name beside `path` that nobody has.
std::string Beside(const std::string& path, const std::string& what) {
  std::string folder = path;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return absl::StrCat(folder, ".", what, "_", absl::ToUnixMillis(absl::Now()));
}

// Copies every record of the store at `from`, as of now, into a new database.
absl::Status CopyRecords(const std::string& from, const std::string& to) {
  RocksDbLogitStoreOptions options = StoreOptions(from);
  options.read_only = true;
  KODISTIL_ASSIGN_OR_RETURN(const auto source, OpenRocksDb(options, nullptr));
  RocksDbLogitStoreOptions copy_options = StoreOptions(to);
  copy_options.create_if_missing = true;
  KODISTIL_ASSIGN_OR_RETURN(const auto copy,
                            OpenRocksDb(copy_options, nullptr));
  const std::unique_ptr<rocksdb::Iterator> all(
      source->NewIterator(rocksdb::ReadOptions()));
  rocksdb::WriteBatch batch;
  const auto write = [&] {
    const rocksdb::Status status = copy->Write(rocksdb::WriteOptions(), &batch);
    batch.Clear();
    return FromRocksDbStatus(status);
  };
  for (all->SeekToFirst(); all->Valid(); all->Next()) {
    batch.Put(all->key(), all->value());
    if (batch.GetDataSize() >= kCopyBytes) KODISTIL_RETURN_IF_ERROR(write());
  }
  KODISTIL_RETURN_IF_ERROR(FromRocksDbStatus(all->status()));
  return write();
}

// The store's database, or a copy of it when a server has it open. Not
// thread-safe.
class Source {
 public:
  ~Source() {
    db_.reset();
    if (!copy_.empty()) RemoveAll(copy_).IgnoreError();
  }

  absl::Status Open(const std::string& store, std::ostream* out) {
    auto db = OpenRocksDb(StoreOptions(store), nullptr);
    if (db.status().code() == absl::StatusCode::kUnavailable) {
      copy_ = Beside(store, "copy");
      *out << store << " is in use: its state of now is copied\n";
      KODISTIL_RETURN_IF_ERROR(CopyRecords(store, copy_));
      db = OpenRocksDb(StoreOptions(copy_), nullptr);
    }
    KODISTIL_RETURN_IF_ERROR(db.status());
    db_ = *std::move(db);
    return absl::OkStatus();
  }
  rocksdb::DB* get() const { return db_.get(); }

 private:
  std::string copy_;
  std::unique_ptr<rocksdb::DB> db_;
};

absl::StatusOr<std::unique_ptr<rocksdb::BackupEngine>> OpenBackups(
    const std::string& folder) {
  rocksdb::BackupEngine* engine = nullptr;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(FromRocksDbStatus(rocksdb::BackupEngine::Open(
                   rocksdb::Env::Default(),
                   rocksdb::BackupEngineOptions(folder), &engine)),
               absl::StrCat("backups in ", folder)));
  return std::unique_ptr<rocksdb::BackupEngine>(engine);
}

// NOT_FOUND unless the folder holds backups, which opening would make.
absl::StatusOr<std::unique_ptr<rocksdb::BackupEngine>> OpenExistingBackups(
    const std::string& folder) {
  if (IsDirectory(JoinPath(folder, "meta"))) return OpenBackups(folder);
  return absl::NotFoundError(absl::StrCat("no backups in ", folder));
}

absl::Status CheckBackup(rocksdb::BackupEngine* engine, uint32_t id,
                         const std::string& folder) {
  return Annotate(FromRocksDbStatus(
                      engine->VerifyBackup(id, /*verify_with_checksum=*/true)),
                  absl::StrCat("backup ", id, " in ", folder));
}

absl::Status Backup(const AdminOptions& options, std::ostream* out) {
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(options.backup));
  Source source;
  KODISTIL_RETURN_IF_ERROR(source.Open(options.store, out));
  KODISTIL_ASSIGN_OR_RETURN(const auto engine, OpenBackups(options.backup));
  rocksdb::CreateBackupOptions create;
  create.flush_before_backup = true;
  rocksdb::BackupID id = 0;
  KODISTIL_RETURN_IF_ERROR(Annotate(
      FromRocksDbStatus(engine->CreateNewBackup(create, source.get(), &id)),
      absl::StrCat("backup into ", options.backup)));
  KODISTIL_RETURN_IF_ERROR(CheckBackup(engine.get(), id, options.backup));
  *out << "backup " << id << " of " << options.store << " in " << options.backup
       << ": checked\n";
  if (options.keep == 0) return absl::OkStatus();
  return FromRocksDbStatus(engine->PurgeOldBackups(options.keep));
}

absl::Status List(const AdminOptions& options, std::ostream* out) {
  KODISTIL_ASSIGN_OR_RETURN(const auto engine,
                            OpenExistingBackups(options.list));
  std::vector<rocksdb::BackupInfo> backups;
  engine->GetBackupInfo(&backups);
  absl::Status status;
  for (const rocksdb::BackupInfo& backup : backups) {
    const absl::Status good =
        CheckBackup(engine.get(), backup.backup_id, options.list);
    *out << "backup " << backup.backup_id << ", "
         << absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                             absl::FromUnixSeconds(backup.timestamp),
                             absl::UTCTimeZone())
         << ", " << backup.size << " bytes in " << backup.number_files
         << " files: " << (good.ok() ? "good" : good.ToString()) << "\n";
    status.Update(good);
  }
  return status;
}

// Prints what the store holds; DATA_LOSS when some of it is damaged.
absl::Status Check(const std::string& path, std::ostream* out) {
  RocksDbLogitStoreOptions store_options = StoreOptions(path);
  store_options.read_only = true;
  KODISTIL_ASSIGN_OR_RETURN(const auto store,
                            RocksDbLogitStore::Open(store_options));
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeResponse description,
                            store->Describe());
  uint64_t corrupt = 0;
  for (const v1::DescribeResponse::Set& set : description.sets()) {
    const v1::LogitSetManifest& manifest = set.manifest();
    const auto verified = store->Verify(manifest.id());
    if (absl::IsNotFound(verified.status())) {
      *out << manifest.id().dataset() << ", teacher " << manifest.teacher_name()
           << ": the dataset is not registered; the next sweep does it\n";
      continue;
    }
    KODISTIL_RETURN_IF_ERROR(verified.status());
    *out << manifest.id().dataset() << ", teacher " << manifest.teacher_name()
         << " (" << manifest.id().teacher_fingerprint().substr(0, 12)
         << "): " << verified->checked() << " records read, "
         << verified->corrupt_count() << " damaged, "
         << manifest.row_count() -
                std::min(set.rows_present(), manifest.row_count())
         << " rows missing\n";
    corrupt += verified->corrupt_count();
  }
  if (corrupt == 0) {
    *out << path << ": good\n";
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(path, ": ", corrupt,
                                          " records are damaged: salvage and "
                                          "label again, or restore a backup"));
}

// RocksDB's lock on a store that may be too damaged to open.
class StoreLock {
 public:
  ~StoreLock() {
    if (lock_ != nullptr) env_.UnlockFile(lock_).PermitUncheckedError();
  }

  absl::Status Acquire(const std::string& store) {
    if (!IsDirectory(store)) return absl::OkStatus();
    const rocksdb::Status status =
        env_.LockFile(JoinPath(store, "LOCK"), &lock_);
    if (status.ok()) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("logit store ", store, " is open in another process (",
                     status.ToString(), "): stop the server first"));
  }

 private:
  rocksdb::Env& env_ = *rocksdb::Env::Default();
  rocksdb::FileLock* lock_ = nullptr;
};

absl::Status Restore(const AdminOptions& options, std::ostream* out) {
  const std::string restored = Beside(options.store, "restored");
  // After the engine is gone: its threads may write on for a moment.
  absl::Cleanup remove = [&restored] { RemoveAll(restored).IgnoreError(); };
  KODISTIL_ASSIGN_OR_RETURN(const auto engine,
                            OpenExistingBackups(options.restore));
  StoreLock lock;
  KODISTIL_RETURN_IF_ERROR(lock.Acquire(options.store));
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(restored));
  const rocksdb::RestoreOptions how;
  KODISTIL_RETURN_IF_ERROR(Annotate(
      FromRocksDbStatus(
          options.backup_id == 0
              ? engine->RestoreDBFromLatestBackup(how, restored, restored)
              : engine->RestoreDBFromBackup(how, options.backup_id, restored,
                                            restored)),
      absl::StrCat("restore from ", options.restore)));
  KODISTIL_RETURN_IF_ERROR(Check(restored, out));
  if (IsDirectory(options.store)) {
    const std::string before = Beside(options.store, "before_restore");
    std::error_code error;
    std::filesystem::rename(options.store, before, error);
    KODISTIL_RETURN_IF_ERROR(
        FromErrorCode(error, absl::StrCat("cannot rename ", options.store)));
    *out << "the store of before is in " << before << "\n";
  }
  std::error_code error;
  std::filesystem::rename(restored, options.store, error);
  KODISTIL_RETURN_IF_ERROR(
      FromErrorCode(error, absl::StrCat("cannot rename ", restored)));
  std::move(remove).Cancel();
  *out << options.store << " is restored from " << options.restore << "\n";
  return absl::OkStatus();
}

absl::Status MakeCheckpoint(const AdminOptions& options, std::ostream* out) {
  Source source;
  KODISTIL_RETURN_IF_ERROR(source.Open(options.store, out));
  rocksdb::Checkpoint* made = nullptr;
  KODISTIL_RETURN_IF_ERROR(
      FromRocksDbStatus(rocksdb::Checkpoint::Create(source.get(), &made)));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  KODISTIL_RETURN_IF_ERROR(Annotate(
      FromRocksDbStatus(checkpoint->CreateCheckpoint(options.checkpoint)),
      absl::StrCat("checkpoint ", options.checkpoint)));
  *out << options.checkpoint << " is a store like " << options.store << "\n";
  return absl::OkStatus();
}

absl::Status Compact(const AdminOptions& options, std::ostream* out) {
  const uint64_t before = BytesIn(options.store);
  {
    KODISTIL_ASSIGN_OR_RETURN(
        const auto db, OpenRocksDb(StoreOptions(options.store), nullptr));
    rocksdb::CompactRangeOptions compact;
    compact.bottommost_level_compaction =
        rocksdb::BottommostLevelCompaction::kForceOptimized;
    KODISTIL_RETURN_IF_ERROR(
        Annotate(FromRocksDbStatus(db->CompactRange(compact, nullptr, nullptr)),
                 absl::StrCat("logit store ", options.store)));
  }
  *out << options.store << ": " << before << " bytes before, "
       << BytesIn(options.store) << " after\n";
  return absl::OkStatus();
}

// A block that is damaged stops whoever reads past it, compaction included: its
// table has to go. What was in it is missing then. Returns how many have gone.
absl::StatusOr<int> RemoveDamagedTables(const std::string& store,
                                        std::ostream* out) {
  std::error_code error;
  const std::filesystem::directory_iterator files(store, error);
  KODISTIL_RETURN_IF_ERROR(
      FromErrorCode(error, absl::StrCat("cannot read ", store)));
  int removed = 0;
  for (const auto& entry : files) {
    const std::string path = entry.path().string();
    if (entry.path().extension() != ".sst") continue;
    rocksdb::SstFileReader reader((rocksdb::Options()));
    rocksdb::Status status = reader.Open(path);
    if (status.ok()) status = reader.VerifyChecksum();
    if (status.ok()) continue;
    const absl::Status damage = FromRocksDbStatus(status);
    if (!absl::IsDataLoss(damage)) return Annotate(damage, path);
    *out << path << " is left out: " << damage.message() << "\n";
    KODISTIL_RETURN_IF_ERROR(RemoveAll(path));
    ++removed;
  }
  return removed;
}

// Copies the store to `before` and takes damaged tables out of it; how many.
absl::StatusOr<int> PrepareSalvage(const std::string& store,
                                   const std::string& before,
                                   std::ostream* out) {
  StoreLock lock;
  if (!FileExists(JoinPath(store, "CURRENT")) && CheckCurrentFile(store).ok()) {
    return absl::NotFoundError(absl::StrCat("no logit store at ", store));
  }
  KODISTIL_RETURN_IF_ERROR(lock.Acquire(store));
  std::error_code error;
  std::filesystem::copy(store, before, std::filesystem::copy_options::recursive,
                        error);
  KODISTIL_RETURN_IF_ERROR(FromErrorCode(
      error, absl::StrCat("cannot copy ", store, " to ", before)));
  *out << "the store of before is in " << before << "\n";
  return RemoveDamagedTables(store, out);
}

absl::Status WriteFormat(const RocksDbLogitStoreOptions& options) {
  KODISTIL_ASSIGN_OR_RETURN(const auto db, OpenRocksDb(options, nullptr));
  return FromRocksDbStatus(db->Put(rocksdb::WriteOptions(), FormatKey(),
                                   SealFormat(kLogitFormatVersion)));
}

// Opens the store although its log, its list of tables or files are damaged.
absl::StatusOr<std::unique_ptr<RocksDbLogitStore>> OpenDamaged(
    const RocksDbLogitStoreOptions& options, bool tables_removed,
    std::ostream* out) {
  auto store = RocksDbLogitStore::Open(options);
  // INTERNAL: a file is gone or cannot be read.
  if (absl::IsDataLoss(store.status()) || absl::IsInternal(store.status())) {
    *out << store.status().message() << ": its list of tables is made anew\n";
    rocksdb::Options repair;
    repair.info_log = NewRocksDbLogger();
    KODISTIL_RETURN_IF_ERROR(
        Annotate(FromRocksDbStatus(rocksdb::RepairDB(options.path, repair)),
                 absl::StrCat("logit store ", options.path)));
    store = RocksDbLogitStore::Open(options);
  }
  if (tables_removed && absl::IsFailedPrecondition(store.status())) {
    // The record of the format was in one of them.
    KODISTIL_RETURN_IF_ERROR(WriteFormat(options));
    store = RocksDbLogitStore::Open(options);
  }
  return store;
}

absl::Status Salvage(const AdminOptions& options, std::ostream* out) {
  KODISTIL_ASSIGN_OR_RETURN(
      const int removed,
      PrepareSalvage(options.store, Beside(options.store, "before_salvage"),
                     out));
  RocksDbLogitStoreOptions store_options = StoreOptions(options.store);
  store_options.salvage = true;
  {
    KODISTIL_ASSIGN_OR_RETURN(const auto store,
                              OpenDamaged(store_options, removed > 0, out));
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> dropped,
                              store->DropDamagedDatasets());
    for (const std::string& dataset : dropped) {
      *out << dataset << ": some of its texts are gone, so its registration is "
           << "dropped; the next sweep registers it again\n";
    }
  }
  return Check(options.store, out);
}

}  // namespace

absl::Status AdminOptions::Validate() const {
  const int actions = !backup.empty() + !restore.empty() + !list.empty() +
                      !checkpoint.empty() + verify + compact + salvage;
  if (actions != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected one of --backup, --restore, --list, "
                     "--checkpoint, --verify, --compact and --salvage, found ",
                     actions));
  }
  if (backup_id != 0 && restore.empty()) {
    return absl::InvalidArgumentError("--backup_id goes with --restore");
  }
  if (keep != 0 && backup.empty()) {
    return absl::InvalidArgumentError("--keep goes with --backup");
  }
  if (!store.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("the path of the logit store is empty");
}

absl::Status RunAdmin(const AdminOptions& options, std::ostream* out) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  if (!options.backup.empty()) return Backup(options, out);
  if (!options.restore.empty()) return Restore(options, out);
  if (!options.list.empty()) return List(options, out);
  if (!options.checkpoint.empty()) return MakeCheckpoint(options, out);
  if (options.verify) return Check(options.store, out);
  return options.compact ? Compact(options, out) : Salvage(options, out);
}

}  // namespace kodistil
