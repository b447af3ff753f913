#include "logit_store/fault_file_system.h"

#include <algorithm>
#include <climits>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/files.h"

namespace kodistil {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class FaultFileSystem::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(FaultFileSystem* owner, const std::string& path,
       std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        owner_(*owner),
        path_(path) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    IOStatus status = owner_.NoteAppend(path_, data.size());
    return status.ok() ? target()->Append(data, options, debug) : status;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    owner_.NoteTruncate(path_, size);
    return target()->Truncate(size, options, debug);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return owner_.NoteSync(path_);
  }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return owner_.NoteSync(path_);
  }
  void PrepareWrite(size_t, size_t, const IOOptions&,
                    IODebugContext*) override {}
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&,
                     IODebugContext*) override {
    return IOStatus::OK();  // promises nothing
  }

 private:
  FaultFileSystem& owner_;
  const std::string path_;
};

class FaultFileSystem::Folder final : public rocksdb::FSDirectoryWrapper {
 public:
  Folder(FaultFileSystem* owner, std::unique_ptr<rocksdb::FSDirectory>&& folder)
      : FSDirectoryWrapper(std::move(folder)), owner_(*owner) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return owner_.NoteFolderSync();
  }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                               const rocksdb::DirFsyncOptions&) override {
    return owner_.NoteFolderSync();
  }

 private:
  FaultFileSystem& owner_;
};

FaultFileSystem::FaultFileSystem(const std::string& trash)
    : FileSystemWrapper(FileSystem::Default()),
      trash_(trash),
      operations_left_(INT_MAX) {}

void FaultFileSystem::CutPowerAfter(int operations) {
  absl::MutexLock lock(&mutex_);
  operations_left_ = operations;
}

void FaultFileSystem::LimitSpace(uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  space_left_ = bytes;
}

void FaultFileSystem::FailSyncs(bool on) {
  absl::MutexLock lock(&mutex_);
  fail_syncs_ = on;
}

void FaultFileSystem::HoldFlushes(bool on) {
  const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return flushes_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  hold_flushes_ = on;
  if (!on) mutex_.Await(absl::Condition(&ended));
}

bool FaultFileSystem::HoldsAFlush() {
  absl::MutexLock lock(&mutex_);
  return hold_flushes_ && flushes_ > 0;
}

void FaultFileSystem::ScheduleFlush() {
  absl::MutexLock lock(&mutex_);
  ++flushes_;
}

void FaultFileSystem::DropFlush() {
  absl::MutexLock lock(&mutex_);
  --flushes_;
}

void FaultFileSystem::RunFlush(const std::function<void()>& flush) {
  const auto let = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !hold_flushes_;
  };
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&let));
  }
  flush();
  DropFlush();
}

IOStatus FaultFileSystem::Allow() {
  if (operations_left_ == 0) return IOStatus::IOError("the power is off");
  if (operations_left_ != INT_MAX) --operations_left_;
  return IOStatus::OK();
}

IOStatus FaultFileSystem::NoteAppend(const std::string& path, uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  IOStatus status = Allow();
  if (!status.ok()) return status;
  if (bytes > space_left_) return IOStatus::NoSpace("the disk is full");
  if (space_left_ != UINT64_MAX) space_left_ -= bytes;
  files_[path].size += bytes;
  return status;
}

IOStatus FaultFileSystem::NoteSync(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  IOStatus status = Allow();
  if (!status.ok()) return status;
  if (fail_syncs_) return IOStatus::IOError("the disk does not answer");
  files_[path].synced = files_[path].size;
  return status;
}

IOStatus FaultFileSystem::NoteFolderSync() {
  absl::MutexLock lock(&mutex_);
  IOStatus status = Allow();
  if (status.ok()) changes_.clear();
  return status;
}

void FaultFileSystem::NoteTruncate(const std::string& path, uint64_t size) {
  absl::MutexLock lock(&mutex_);
  files_[path].size = size;
}

std::string FaultFileSystem::Keep(const std::string& path) {
  if (!kodistil::FileExists(path)) return "";
  const std::string kept = JoinPath(trash_, absl::StrCat(kept_++));
  std::filesystem::rename(path, kept);
  files_[kept] = files_[path];
  files_.erase(path);
  return kept;
}

IOStatus FaultFileSystem::NewWritableFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  IOStatus status = Allow();
  if (!status.ok()) return status;
  changes_.push_back({"", path, Keep(path)});
  files_[path] = Bytes();
  std::unique_ptr<rocksdb::FSWritableFile> real;
  status = target()->NewWritableFile(path, options, &real, debug);
  if (status.ok()) *file = std::make_unique<File>(this, path, std::move(real));
  return status;
}

IOStatus FaultFileSystem::ReopenWritableFile(
    const std::string& path, const rocksdb::FileOptions&,
    std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return IOStatus::NotSupported("reopening ", path);
}

IOStatus FaultFileSystem::NewDirectory(
    const std::string& path, const IOOptions& options,
    std::unique_ptr<rocksdb::FSDirectory>* folder, IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> real;
  IOStatus status = target()->NewDirectory(path, options, &real, debug);
  if (status.ok()) *folder = std::make_unique<Folder>(this, std::move(real));
  return status;
}

IOStatus FaultFileSystem::DeleteFile(const std::string& path, const IOOptions&,
                                     IODebugContext*) {
  absl::MutexLock lock(&mutex_);
  IOStatus status = Allow();
  if (!status.ok()) return status;
  const std::string kept = Keep(path);
  if (kept.empty()) return IOStatus::PathNotFound(path);
  changes_.push_back({path, kept, ""});
  return status;
}

IOStatus FaultFileSystem::RenameFile(const std::string& from,
                                     const std::string& to,
                                     const IOOptions& options,
                                     IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  IOStatus status = Allow();
  if (!status.ok()) return status;
  const std::string replaced = Keep(to);
  status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  changes_.push_back({from, to, replaced});
  if (files_.count(from) > 0) {
    files_[to] = files_[from];
    files_.erase(from);
  }
  return status;
}

void FaultFileSystem::LoseUnsynced(Pcg32* random) {
  absl::MutexLock lock(&mutex_);
  // The worst case one time in two.
  const bool worst = random->Below(2) == 0;
  const size_t kept = worst ? 0 : random->Below(changes_.size() + 1);
  while (changes_.size() > kept) {
    const Change& change = changes_.back();
    if (change.from.empty()) {
      std::filesystem::remove(change.to);
      files_.erase(change.to);
    } else {
      std::filesystem::rename(change.to, change.from);
      files_[change.from] = files_[change.to];
      files_.erase(change.to);
    }
    if (!change.replaced.empty()) {
      std::filesystem::rename(change.replaced, change.to);
      files_[change.to] = files_[change.replaced];
      files_.erase(change.replaced);
    }
    changes_.pop_back();
  }
  changes_.clear();
  for (auto& [path, bytes] : files_) {
    if (bytes.size > bytes.synced && kodistil::FileExists(path)) {
      const uint32_t loose = bytes.size - bytes.synced;
      bytes.size = bytes.synced + (worst ? 0 : random->Below(loose + 1));
      std::filesystem::resize_file(path, bytes.size);
    }
    bytes.synced = bytes.size;
  }
  operations_left_ = INT_MAX;
}

namespace {

class FaultEnv final : public rocksdb::EnvWrapper {
 public:
  explicit FaultEnv(std::shared_ptr<FaultFileSystem> file_system)
      : EnvWrapper(rocksdb::Env::Default()), faults_(std::move(file_system)) {
    file_system_ = faults_;
  }

  void Schedule(void (*function)(void*), void* argument, Priority priority,
                void* tag, void (*unscheduled)(void*)) override {
    if (priority != Priority::HIGH) {
      EnvWrapper::Schedule(function, argument, priority, tag, unscheduled);
      return;
    }
    // RocksDB flushes with high priority.
    faults_->ScheduleFlush();
    EnvWrapper::Schedule(&RunFlush,
                         new Flush{faults_, function, argument, unscheduled},
                         priority, tag, &Unschedule);
  }

  void SleepForMicroseconds(int micros) override {
    EnvWrapper::SleepForMicroseconds(std::min(micros, 1000));
  }

 private:
  struct Flush {
    // The database may be gone before the flush has returned from it.
    std::shared_ptr<FaultFileSystem> faults;
    void (*function)(void*);
    void* argument;
    void (*unscheduled)(void*);
  };

  static void RunFlush(void* argument) {
    const std::unique_ptr<Flush> flush(static_cast<Flush*>(argument));
    flush->faults->RunFlush([&flush] { flush->function(flush->argument); });
  }
  static void Unschedule(void* argument) {
    const std::unique_ptr<Flush> flush(static_cast<Flush*>(argument));
    flush->faults->DropFlush();
    if (flush->unscheduled != nullptr) flush->unscheduled(flush->argument);
  }

  const std::shared_ptr<FaultFileSystem> faults_;  // as file_system_
};

}  // namespace

std::shared_ptr<rocksdb::Env> NewFaultEnv(
    std::shared_ptr<FaultFileSystem> file_system) {
  return std::make_shared<FaultEnv>(std::move(file_system));
}

}  // namespace kodistil
