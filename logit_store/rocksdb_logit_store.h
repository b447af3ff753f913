// The durable logit store: one RocksDB database.

#ifndef KODISTIL_LOGIT_STORE_ROCKSDB_LOGIT_STORE_H_
#define KODISTIL_LOGIT_STORE_ROCKSDB_LOGIT_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "logit_store/logit_store.h"
#include "logit_store/store_rules.h"

namespace rocksdb {
class DB;
class Env;
class Snapshot;
}  // namespace rocksdb

namespace kodistil {

class LogitDatabase;

struct RocksDbLogitStoreOptions {
  // Folder of the database.
  std::string path;
  // false: NOT_FOUND where there is no store.
  bool create_if_missing = true;
  // Opens without the lock, also while another process has the store open: sees
  // what was there at that moment. Writing is FAILED_PRECONDITION.
  bool read_only = false;
  // How long to wait for another process, which may be dying, to let go of the
  // database.
  absl::Duration lock_wait = absl::Seconds(10);
  // true: what Put answered for survives a power cut ("machine"); false: it
  // survives the death of the process alone.
  bool sync = true;
  // After a background error: the wait between two tries to go on; above 0.
  absl::Duration resume_interval = absl::Seconds(1);
  // How long RocksDB may take for such a try before the database is opened anew
  // instead; above 0.
  absl::Duration resume_limit = absl::Seconds(10);
  // Rows in memory before they are written into a table; 64 KiB or more.
  size_t write_buffer_bytes = 64 << 20;
  // Opens a store whose log is damaged: leaves the damaged records out, so that
  // their rows are missing.
  bool salvage = false;
  // Null for the system's; tests break things with another.
  std::shared_ptr<rocksdb::Env> env;

  absl::Status Validate() const;
};

// Thread-safe. The text hashes of the datasets in use are held in memory (16
// bytes a row).
class RocksDbLogitStore final : public LogitStore {
 public:
  // Each error names the path: NOT_FOUND when there is no store to read,
  // UNAVAILABLE when another process has it open, PERMISSION_DENIED,
  // FAILED_PRECONDITION for a newer format or another database, DATA_LOSS for a
  // damaged one.
  static absl::StatusOr<std::unique_ptr<RocksDbLogitStore>> Open(
      const RocksDbLogitStoreOptions& options);
  ~RocksDbLogitStore() override;

  // Told OK, or why the store takes no writes: UNAVAILABLE and the like for
  // what passes, DATA_LOSS for what needs a person.
  using HealthWatcher = std::function<void(const absl::Status& health)>;
  // Calls `watcher` at once and whenever health changes, one call at a time; it
  // must not call the store. Null for none: on return no call goes on.
  void WatchHealth(HealthWatcher watcher);
  // What a watcher would be told now.
  absl::Status Health() const;
  // Drops the registration of each dataset whose rows are not all there and
  // sound, and returns their names or, where not even those are, their keys.
  // Registering the dataset again makes its logits count again.
  absl::StatusOr<std::vector<std::string>> DropDamagedDatasets();
  // A number that RocksDB keeps, such as "rocksdb.estimate-num-keys".
  // UNAVAILABLE while the database is opened anew, NOT_FOUND for a name that it
  // does not know.
  absl::StatusOr<uint64_t> Property(const std::string& name) const;

  absl::StatusOr<v1::RegisterDatasetResponse> RegisterDataset(
      const DatasetRegistration& registration, const RowSource& next) override;
  absl::StatusOr<v1::DescribeDatasetResponse> DescribeDataset(
      const std::string& name) const override;
  absl::Status ScanDataset(const std::string& name, uint64_t begin,
                           uint64_t end,
                           const TextVisitor& visit) const override;
  absl::StatusOr<v1::LogitSetManifest> CreateSet(
      const v1::LogitSetManifest& manifest) override;
  absl::Status Put(const v1::LogitSetId& id,
                   absl::Span<const v1::LogitRow> rows) override;
  absl::StatusOr<std::vector<v1::LogitRow>> Get(
      const v1::LogitSetId& id,
      absl::Span<const uint64_t> indices) const override;
  absl::Status Scan(const v1::LogitSetId& id, const ScanOptions& options,
                    const RowVisitor& visit) const override;
  absl::StatusOr<v1::MissingResponse> Missing(
      const v1::LogitSetId& id) const override;
  absl::StatusOr<v1::DescribeResponse> Describe() const override;
  absl::StatusOr<v1::VerifyResponse> Verify(
      const v1::LogitSetId& id) const override;

 private:
  // A set and its dataset as they are at one moment.
  struct View {
    std::shared_ptr<rocksdb::DB> db;
    v1::LogitSetManifest manifest;
    std::shared_ptr<const RegisteredDataset> dataset;
    std::string prefix;  // of the logits' keys
    std::shared_ptr<const rocksdb::Snapshot> snapshot;
  };

  RocksDbLogitStore(const RocksDbLogitStoreOptions& options,
                    std::unique_ptr<LogitDatabase> database);

  // Checks the format record, or writes it into a new database.
  absl::Status CheckOrWriteFormat();
  absl::StatusOr<std::string> Read(const std::string& key) const;

  // The registered dataset, from memory or read; NOT_FOUND.
  absl::StatusOr<std::shared_ptr<const RegisteredDataset>> LoadDataset(
      const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> LoadHashes(
      const std::string& name, const RegisteredDataset& dataset) const;
  absl::StatusOr<v1::LogitSetManifest> LoadManifest(
      const v1::LogitSetId& id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The database, with nothing remembered from before it was opened anew.
  absl::StatusOr<std::shared_ptr<rocksdb::DB>> Acquire() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Under the lock: it must see the generation of the dataset.
  std::shared_ptr<const rocksdb::Snapshot> TakeSnapshot(
      const std::shared_ptr<rocksdb::DB>& db) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<View> ViewOf(const v1::LogitSetId& id) const;

  // Writes rows and hashes of a new generation, not yet visible.
  absl::Status WriteGeneration(const DatasetRegistration& registration,
                               const RowSource& next,
                               RegisteredDataset* dataset);
  // Makes the generation the dataset's and drops the one before.
  absl::Status SwitchGeneration(
      const DatasetRegistration& registration,
      std::shared_ptr<const RegisteredDataset> dataset, uint64_t old_generation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Adds the damaged rows of the range to the response; `complete`: those that
  // are not there too.
  absl::Status VerifyRange(
      const View& view, const std::string& prefix, bool complete,
      const std::function<bool(const std::string& key,
                               absl::string_view record)>& good,
      v1::VerifyResponse* response) const;

  const RocksDbLogitStoreOptions options_;
  const std::unique_ptr<LogitDatabase> database_;
  mutable absl::Mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const RegisteredDataset>>
      datasets_ ABSL_GUARDED_BY(mutex_);
  mutable std::map<std::string, v1::LogitSetManifest> manifests_
      ABSL_GUARDED_BY(mutex_);  // by key
  // Of the database that datasets_ and manifests_ were read from.
  mutable int epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  // Names that a call is registering.
  std::set<std::string> registering_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_ROCKSDB_LOGIT_STORE_H_
