// The RocksDB database of a logit store: opened, watched, and brought back
// after an error.

#ifndef KODISTIL_LOGIT_STORE_LOGIT_DATABASE_H_
#define KODISTIL_LOGIT_STORE_LOGIT_DATABASE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "logit_store/rocksdb_logit_store.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"

namespace kodistil {

// Thread-safe. After a background error (full disk, failed sync) the database
// can be read but not written; a thread resumes it, or opens it anew where
// RocksDB cannot resume or hangs, as soon as the cause is gone. Damaged files
// stay as they are: only a person can help.
class LogitDatabase {
 public:
  // Errors as RocksDbLogitStore::Open.
  static absl::StatusOr<std::unique_ptr<LogitDatabase>> Open(
      const RocksDbLogitStoreOptions& options);
  ~LogitDatabase();

  // To be held for the length of a call. UNAVAILABLE while the database is
  // opened anew.
  absl::StatusOr<std::shared_ptr<rocksdb::DB>> Acquire() const;
  // Grows when the database was opened anew: what was read before may differ.
  int epoch() const;

  // Synced if asked for and if options.sync. UNAVAILABLE naming the cause after
  // a background error, DATA_LOSS after damage, FAILED_PRECONDITION for a
  // database that is open for reading.
  absl::Status Write(rocksdb::WriteBatch* batch, bool sync);

  // OK, or why it takes no writes.
  absl::Status health() const;
  // A number that RocksDB keeps: "rocksdb.estimate-num-keys". UNAVAILABLE while
  // the database is opened anew, NOT_FOUND for a name that it does not know.
  absl::StatusOr<uint64_t> Property(const std::string& name) const;

  // Calls `watcher` at once and whenever health changes; returns when no call
  // of the one before goes on. Null for none.
  void WatchHealth(RocksDbLogitStore::HealthWatcher watcher);

 private:
  class Listener;

  explicit LogitDatabase(const RocksDbLogitStoreOptions& options);
  std::string Name() const;
  void NoteError(const rocksdb::Status& status);
  // Body of the thread.
  void Recover();
  // One try. OK when the database takes writes again.
  absl::Status TryToRecover();
  // RocksDB's own recovery of `db`. ShutdownInProgress when it took longer than
  // options.resume_limit or the store is closed: `db` only reads from then on.
  rocksdb::Status Resume(rocksdb::DB* db);
  absl::Status Reopen();
  // Whether writes reach the disk.
  absl::Status Probe();
  void TellWatcher();

  const RocksDbLogitStoreOptions options_;
  const std::shared_ptr<rocksdb::EventListener> listener_;
  mutable absl::Mutex mutex_;
  // Null while it is opened anew.
  std::shared_ptr<rocksdb::DB> db_ ABSL_GUARDED_BY(mutex_);
  int epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status health_ ABSL_GUARDED_BY(mutex_);
  int errors_ ABSL_GUARDED_BY(mutex_) = 0;  // seen so far
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex watcher_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  RocksDbLogitStore::HealthWatcher watcher_ ABSL_GUARDED_BY(watcher_mutex_);
  std::thread thread_;
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_LOGIT_DATABASE_H_
