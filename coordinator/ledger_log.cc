#include "coordinator/ledger_log.h"

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/write_batch.h"

namespace kodistil {
namespace {

// How long records that nobody waits for may wait for one that somebody does.
constexpr absl::Duration kLinger = absl::Milliseconds(5);

absl::string_view View(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<LedgerLog>> LedgerLog::Open(
    const std::string& path, rocksdb::Env* env) {
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(path));
  KODISTIL_RETURN_IF_ERROR(Annotate(CheckCurrentFile(path), "the ledger"));
  rocksdb::Options rocks;
  if (env != nullptr) rocks.env = env;
  rocks.create_if_missing = true;
  rocks.track_and_verify_wals_in_manifest = true;
  rocks.write_buffer_size = 8 << 20;
  // Its own log file ends the process when the disk is full.
  rocks.info_log = NewRocksDbLogger();
  rocksdb::DB* raw = nullptr;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(FromRocksDbStatus(rocksdb::DB::Open(rocks, path, &raw)),
               absl::StrCat("cannot open the ledger ", path)));
  return std::unique_ptr<LedgerLog>(
      new LedgerLog(std::unique_ptr<rocksdb::DB>(raw)));
}

LedgerLog::LedgerLog(std::unique_ptr<rocksdb::DB> db)
    : db_(std::move(db)), thread_([this] { Loop(); }) {}

LedgerLog::~LedgerLog() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

absl::StatusOr<std::string> LedgerLog::Get(const std::string& key) const {
  std::string value;
  KODISTIL_RETURN_IF_ERROR(
      FromRocksDbStatus(db_->Get(rocksdb::ReadOptions(), key, &value)));
  return value;
}

absl::Status LedgerLog::Read(const std::string& prefix,
                             const Visit& visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix);
       it->Next()) {
    KODISTIL_RETURN_IF_ERROR(visit(View(it->key()), View(it->value())));
  }
  return FromRocksDbStatus(it->status());
}

absl::Status LedgerLog::Put(std::string key, std::string value) {
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(broken_);
  records_.emplace_back(std::move(key), std::move(value));
  return absl::OkStatus();
}

void LedgerLog::Sync(Done done) {
  absl::MutexLock lock(&mutex_);
  waiting_.push_back(std::move(done));
}

absl::Status LedgerLog::Sync() {
  absl::Notification synced;
  absl::Status result;
  Sync([&](const absl::Status& status) {
    result = status;
    synced.Notify();
  });
  synced.WaitForNotification();
  return result;
}

absl::Status LedgerLog::status() const {
  absl::MutexLock lock(&mutex_);
  return broken_;
}

absl::Status LedgerLog::Write(const std::vector<Record>& records, bool sync) {
  // Records of earlier batches that were not synced are in the same log.
  if (records.empty()) return FromRocksDbStatus(db_->SyncWAL());
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  for (const auto& [key, value] : records) {
    if (status.ok()) status = batch.Put(key, value);
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  if (status.ok()) status = db_->Write(options, &batch);
  return FromRocksDbStatus(status);
}

void LedgerLog::Loop() {
  mutex_.Lock();
  for (bool last = false; !last;) {
    mutex_.Await(absl::Condition(this, &LedgerLog::HasWork));
    mutex_.AwaitWithTimeout(absl::Condition(this, &LedgerLog::IsUrgent),
                            kLinger);
    const auto records = std::exchange(records_, {});
    const auto waiting = std::exchange(waiting_, {});
    last = stopping_;
    absl::Status status = broken_;
    mutex_.Unlock();
    if (status.ok()) {
      status = Annotate(Write(records, last || !waiting.empty()),
                        "cannot write the ledger");
    }
    for (const Done& done : waiting) done(status);
    mutex_.Lock();
    broken_.Update(status);
  }
  mutex_.Unlock();
}

}  // namespace kodistil
