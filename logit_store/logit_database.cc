#include "logit_store/logit_database.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "logit_store/logit_format.h"
#include "logit_store/rocksdb_open.h"
#include "rocksdb/convenience.h"
#include "rocksdb/perf_level.h"
#include "rocksdb/write_batch.h"

namespace kodistil {

class LogitDatabase::Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(LogitDatabase* database) : database_(*database) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason,
                         rocksdb::Status* status) override {
    database_.NoteError(*status);
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;  // Recover() does it and knows the outcome
  }

 private:
  LogitDatabase& database_;
};

LogitDatabase::LogitDatabase(const RocksDbLogitStoreOptions& options)
    : options_(options), listener_(std::make_shared<Listener>(this)) {}

absl::StatusOr<std::unique_ptr<LogitDatabase>> LogitDatabase::Open(
    const RocksDbLogitStoreOptions& options) {
  std::unique_ptr<LogitDatabase> database(new LogitDatabase(options));
  KODISTIL_ASSIGN_OR_RETURN(std::shared_ptr<rocksdb::DB> db,
                            OpenRocksDb(options, database->listener_));
  absl::MutexLock lock(&database->mutex_);
  database->db_ = std::move(db);
  if (!options.read_only) {
    database->thread_ = std::thread(&LogitDatabase::Recover, database.get());
  }
  return database;
}

LogitDatabase::~LogitDatabase() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  std::shared_ptr<rocksdb::DB> db;
  bool sync = !options_.read_only && !options_.sync;
  {
    absl::MutexLock lock(&mutex_);
    db.swap(db_);
    sync &= health_.ok();
  }
  if (db == nullptr || !sync) return;
  // An orderly end leaves nothing to a power cut.
  const rocksdb::Status status = db->SyncWAL();
  LOG_IF(ERROR, !status.ok()) << Name() << ": " << status.ToString();
  // The database is closed here, while its listener can still be called.
}

std::string LogitDatabase::Name() const {
  return absl::StrCat("logit store ", options_.path);
}

absl::StatusOr<std::shared_ptr<rocksdb::DB>> LogitDatabase::Acquire() const {
  // Of this thread. RocksDB counts each comparison of keys for whoever may ask,
  // which is nobody.
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
  absl::MutexLock lock(&mutex_);
  if (db_ != nullptr) return db_;
  return absl::UnavailableError(
      absl::StrCat(Name(), " is being opened anew after ", health_.message()));
}

int LogitDatabase::epoch() const {
  absl::MutexLock lock(&mutex_);
  return epoch_;
}

absl::Status LogitDatabase::health() const {
  absl::MutexLock lock(&mutex_);
  return health_;
}

absl::StatusOr<uint64_t> LogitDatabase::Property(
    const std::string& name) const {
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db, Acquire());
  uint64_t value = 0;
  if (db->GetIntProperty(name, &value)) return value;
  return absl::NotFoundError(
      absl::StrCat(Name(), ": RocksDB has no number called ", name));
}

absl::Status LogitDatabase::Write(rocksdb::WriteBatch* batch, bool sync) {
  if (options_.read_only) {
    return absl::FailedPreconditionError(
        absl::StrCat(Name(), " is open for reading"));
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db, Acquire());
  rocksdb::WriteOptions options;
  options.sync = sync && options_.sync;
  const absl::Status status = FromRocksDbStatus(db->Write(options, batch));
  if (status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  if (health_.ok() || status.code() == absl::StatusCode::kDataLoss) {
    return Annotate(status, Name());
  }
  return absl::UnavailableError(absl::StrCat(
      Name(), " takes no writes until the cause is gone: ", status.message()));
}

void LogitDatabase::NoteError(const rocksdb::Status& status) {
  absl::MutexLock lock(&mutex_);
  health_ = Annotate(FromRocksDbStatus(status), Name());
  ++errors_;
}

void LogitDatabase::WatchHealth(RocksDbLogitStore::HealthWatcher watcher) {
  absl::MutexLock watching(&watcher_mutex_);
  watcher_ = std::move(watcher);
  if (watcher_ == nullptr) return;
  absl::MutexLock lock(&mutex_);
  watcher_(health_);
}

void LogitDatabase::TellWatcher() {
  absl::MutexLock watching(&watcher_mutex_);
  absl::Status health;
  {
    absl::MutexLock lock(&mutex_);
    health = health_;
  }
  if (health.ok()) {
    LOG(INFO) << Name() << " takes writes again";
  } else {
    LOG(ERROR) << health.message() << ": no writes until the cause is gone";
  }
  if (watcher_ != nullptr) watcher_(health);
}

void LogitDatabase::Recover() {
  const auto broken_or_stopping = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !health_.ok() || stopping_;
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&broken_or_stopping));
    if (stopping_) return;
    mutex_.Unlock();
    TellWatcher();
    mutex_.Lock();
    while (!health_.ok()) {
      // Also before the first try: a disk that is nearly full would have health
      // go to and fro.
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_),
                                  options_.resume_interval)) {
        return;
      }
      const int errors = errors_;
      mutex_.Unlock();
      const absl::Status status = TryToRecover();
      mutex_.Lock();
      if (status.ok() && errors == errors_) health_ = absl::OkStatus();
    }
    mutex_.Unlock();
    TellWatcher();
    mutex_.Lock();
  }
}

absl::Status LogitDatabase::TryToRecover() {
  if (absl::StatusOr<std::shared_ptr<rocksdb::DB>> db = Acquire(); db.ok()) {
    {
      absl::MutexLock lock(&mutex_);
      // Reading the same damage again helps nobody.
      if (health_.code() == absl::StatusCode::kDataLoss) return health_;
    }
    const rocksdb::Status status = Resume(db->get());
    if (status.ok()) return Probe();
    if (!status.IsShutdownInProgress() &&
        status.severity() < rocksdb::Status::Severity::kFatalError) {
      return FromRocksDbStatus(status);
    }
  }
  return Reopen();
}

// RocksDB 7.8 waits for ever for a flush that began between the error and the
// recovery: such a flush ends with the error but stays in the queue, where
// nothing schedules it again. Later versions schedule no flush then
// (github.com/facebook/rocksdb/pull/11872).
rocksdb::Status LogitDatabase::Resume(rocksdb::DB* db) {
  rocksdb::Status status;
  bool done = false;
  std::thread resuming([&] {
    rocksdb::Status result = db->Resume();
    absl::MutexLock lock(&mutex_);
    status = std::move(result);
    done = true;
  });
  const auto done_or_stopping = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return done || stopping_;
  };
  bool hangs;
  bool stopping;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&done_or_stopping),
                            options_.resume_limit);
    hangs = !done;
    stopping = stopping_;
  }
  LOG_IF(WARNING, hangs && !stopping)
      << Name() << ": RocksDB's recovery took longer than "
      << absl::FormatDuration(options_.resume_limit)
      << "; the database is opened anew";
  if (hangs) rocksdb::CancelAllBackgroundWork(db, /*wait=*/false);
  resuming.join();
  return hangs ? rocksdb::Status::ShutdownInProgress() : status;
}

absl::Status LogitDatabase::Reopen() {
  std::weak_ptr<rocksdb::DB> old;
  {
    std::shared_ptr<rocksdb::DB> closed_unlocked;
    absl::MutexLock lock(&mutex_);
    if (stopping_) return absl::CancelledError("the store is closed");
    closed_unlocked.swap(db_);
    old = closed_unlocked;
    ++epoch_;
  }
  // Calls under way read to their end.
  while (!old.expired()) {
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_),
                                absl::Milliseconds(10))) {
      return absl::CancelledError("the store is closed");
    }
  }
  KODISTIL_ASSIGN_OR_RETURN(std::shared_ptr<rocksdb::DB> db,
                            OpenRocksDb(options_, listener_));
  {
    absl::MutexLock lock(&mutex_);
    db_ = std::move(db);
  }
  return Probe();
}

absl::Status LogitDatabase::Probe() {
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db, Acquire());
  rocksdb::WriteOptions options;
  options.sync = true;
  return FromRocksDbStatus(
      db->Put(options, FormatKey(), SealFormat(kLogitFormatVersion)));
}

}  // namespace kodistil
