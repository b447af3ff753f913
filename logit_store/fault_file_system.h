// A file system that breaks on purpose: power cuts, full disks, syncs that
// fail.

#ifndef KODISTIL_LOGIT_STORE_FAULT_FILE_SYSTEM_H_
#define KODISTIL_LOGIT_STORE_FAULT_FILE_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/hash.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

namespace kodistil {

// Wraps the system's. Nothing is really synced: it remembers what would have
// been, for one folder of files (as LevelDB's fault_injection_test does).
// Thread-safe.
class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // `trash`: an empty folder on the same disk.
  explicit FaultFileSystem(const std::string& trash);

  // After `operations` more changes (writes, syncs, new files, ...) every
  // further one fails.
  void CutPowerAfter(int operations);
  // Once all files are closed: leaves on disk what the cut may leave, as
  // `random` decides, and gives the power back. That is, of each file what was
  // synced and perhaps some of the rest, and of creating, renaming and deleting
  // files what came before the last sync of the folder and perhaps some of the
  // rest, in order.
  void LoseUnsynced(Pcg32* random);

  // Writing more than `bytes` from now on is "no space".
  void LimitSpace(uint64_t bytes);
  void EndSpaceLimit() { LimitSpace(UINT64_MAX); }
  // While on, every sync of a file is an input/output error.
  void FailSyncs(bool on);
  // While on, flushes that RocksDB schedules on NewFaultEnv's environment do
  // not begin. Turning it off returns when those held back have ended.
  void HoldFlushes(bool on);
  bool HoldsAFlush();
  // For NewFaultEnv: a flush is scheduled; runs, once it may; or is not to run.
  void ScheduleFlush();
  void RunFlush(const std::function<void()>& flush);
  void DropFlush();

  const char* Name() const override { return "FaultFileSystem"; }
  rocksdb::IOStatus NewWritableFile(
      const std::string& path, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSWritableFile>* file,
      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(
      const std::string& path, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSWritableFile>* file,
      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path,
                                 const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* folder,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  class File;
  class Folder;
  // A change of the folder, to be undone: `to` goes back to `from` (is removed
  // when that is empty), and `replaced` to `to`.
  struct Change {
    std::string from;
    std::string to;
    std::string replaced;
  };
  struct Bytes {
    uint64_t size = 0;
    uint64_t synced = 0;
  };

  // Counts a change of the disk.
  rocksdb::IOStatus Allow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  rocksdb::IOStatus NoteAppend(const std::string& path, uint64_t bytes);
  rocksdb::IOStatus NoteSync(const std::string& path);
  rocksdb::IOStatus NoteFolderSync();
  void NoteTruncate(const std::string& path, uint64_t size);
  // Where a file that is going away is kept; empty when there is none.
  std::string Keep(const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string trash_;
  absl::Mutex mutex_;
  int operations_left_ ABSL_GUARDED_BY(mutex_);
  uint64_t space_left_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  bool fail_syncs_ ABSL_GUARDED_BY(mutex_) = false;
  bool hold_flushes_ ABSL_GUARDED_BY(mutex_) = false;
  int flushes_ ABSL_GUARDED_BY(mutex_) = 0;  // scheduled, not ended
  int kept_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Change> changes_ ABSL_GUARDED_BY(mutex_);  // since the last sync
  std::map<std::string, Bytes> files_ ABSL_GUARDED_BY(mutex_);  // by path
};

// An environment on the file system, in which RocksDB waits for a millisecond
// where it would wait for longer after an error.
std::shared_ptr<rocksdb::Env> NewFaultEnv(
    std::shared_ptr<FaultFileSystem> file_system);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_FAULT_FILE_SYSTEM_H_
