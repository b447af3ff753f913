// The models of a server by name, loaded anew when their folders change.

#ifndef KODISTIL_SERVING_MODEL_SET_H_
#define KODISTIL_SERVING_MODEL_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "serving/student_model.h"

namespace kodistil {

struct ModelSpec {
  // 1 to 128 of A-Z a-z 0-9 . _ -, the first one a letter or digit.
  std::string name;
  std::string folder;
};

// "FOLDER,NAME2=FOLDER2,...": a folder without a name is called as its last
// part. INVALID_ARGUMENT for an empty folder, a bad name, one given twice.
absl::StatusOr<std::vector<ModelSpec>> ParseModelSpecs(absl::string_view text);

struct ModelSetOptions {
  // At least one; the first is the default.
  std::vector<ModelSpec> models;
  InferencePrecision precision = InferencePrecision::kFp32;
  // How often the folders are looked at, 1 ms to 1 h; 0 for never.
  absl::Duration reload_interval = absl::Seconds(1);

  absl::Status Validate() const;
};

// A folder has changed when its config.json is another file (device, inode,
// time of change or size), which SaveStudent writes last. The new student then
// takes the old one's place; who holds the old one goes on with it. One that
// cannot be loaded changes nothing but a log line. Thread-safe.
class ModelSet {
 public:
  // The status of the first model that cannot be loaded.
  static absl::StatusOr<std::unique_ptr<ModelSet>> Create(
      const ModelSetOptions& options);
  ~ModelSet();

  // The model of that name, the default for an empty one; null for none.
  std::shared_ptr<const StudentModel> Find(absl::string_view name) const;
  // All, in the order of the options.
  std::vector<std::shared_ptr<const StudentModel>> All() const;

  // Looks at the folders now.
  void CheckNow();
  uint64_t reloads() const { return reloads_; }
  uint64_t failed_reloads() const { return failed_reloads_; }

 private:
  struct Entry {
    ModelSpec spec;
    std::string identity;  // of config.json when it was last looked at
    std::shared_ptr<const StudentModel> model;
  };

  explicit ModelSet(const ModelSetOptions& options);
  void PollLoop();
  void CheckEntry(size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(check_mutex_);

  const ModelSetOptions options_;
  absl::Mutex check_mutex_;  // before mutex_
  mutable absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> reloads_{0};
  std::atomic<uint64_t> failed_reloads_{0};
  std::thread poller_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_SERVING_MODEL_SET_H_
