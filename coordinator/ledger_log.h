// What a ledger keeps on disk: records in RocksDB, written in groups.

#ifndef KODISTIL_COORDINATOR_LEDGER_LOG_H_
#define KODISTIL_COORDINATOR_LEDGER_LOG_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace rocksdb {
class DB;
class Env;
}  // namespace rocksdb

namespace kodistil {

// One thread writes what was queued since its last write in one batch, so that
// all who wait at the same time share one sync, and calls them back. After a
// failed write nothing more is written, and every call returns that write's
// error: what was queued may not be on disk. Thread-safe.
class LedgerLog {
 public:
  using Done = std::function<void(const absl::Status&)>;

  // Opens or makes the database in `path`; `env` is null but in tests.
  static absl::StatusOr<std::unique_ptr<LedgerLog>> Open(
      const std::string& path, rocksdb::Env* env = nullptr);
  // Writes and syncs what is queued.
  ~LedgerLog();

  // The record of `key`; NOT_FOUND when there is none.
  absl::StatusOr<std::string> Get(const std::string& key) const;
  // Calls `visit` with each record whose key begins with `prefix`, in order of
  // the keys, until it returns an error.
  using Visit =
      std::function<absl::Status(absl::string_view key, absl::string_view)>;
  absl::Status Read(const std::string& prefix, const Visit& visit) const;

  // Queues a record. Records reach the disk in the order of the calls: soon,
  // and for sure by the end of the next Sync.
  absl::Status Put(std::string key, std::string value);
  // Once all that was queued before is synced, or with the error, `done` is
  // called from the log's thread, which holds no lock. It must not wait.
  void Sync(Done done);
  // The same, waiting. Not from `done`.
  absl::Status Sync();
  // Of the first write that failed.
  absl::Status status() const;

 private:
  explicit LedgerLog(std::unique_ptr<rocksdb::DB> db);

  using Record = std::pair<std::string, std::string>;

  void Loop();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !records_.empty() || !waiting_.empty();
  }
  bool IsUrgent() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !waiting_.empty();
  }
  absl::Status Write(const std::vector<Record>& records, bool sync);

  const std::unique_ptr<rocksdb::DB> db_;
  mutable absl::Mutex mutex_;
  std::vector<Record> records_ ABSL_GUARDED_BY(mutex_);
  std::vector<Done> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LEDGER_LOG_H_
