// Dynamic batching: rows of many callers share forward passes of one model.

#ifndef KODISTIL_TEACHER_SERVICE_BATCHER_H_
#define KODISTIL_TEACHER_SERVICE_BATCHER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "teacher_service/teacher_metrics.h"
#include "teacher_service/teacher_model.h"

namespace kodistil {

struct BatcherOptions {
  // Rows times the longest row's tokens, padding included. A longer row goes
  // alone. More is faster on a GPU, and keeps an interactive row waiting for
  // longer.
  int max_batch_tokens = 2048;
  // 1 or more.
  int max_batch_rows = 1024;
  // How long a row waits for others before a batch leaves that is not full.
  absl::Duration max_queue_delay = absl::Milliseconds(2);
  // Rows that each lane holds, 1 or more.
  int max_queue_rows = 65536;
  // Sum of BatchItem::bytes that each lane holds, 1 MiB or more.
  int64_t max_queue_bytes = int64_t{256} << 20;

  absl::Status Validate() const;
};

// What max_batch_tokens should be on a device ("cpu", "cuda:0"): what keeps it
// busy.
int DefaultBatchTokens(absl::string_view device);

enum class Lane { kInteractive = 0, kBulk = 1 };

// A row on its way through the model.
struct BatchItem {
  EncodedInput input;
  // Of the texts it was made from: about what it takes in memory.
  int64_t bytes = 0;
  Lane lane = Lane::kInteractive;
  // Not computed after it.
  absl::Time deadline = absl::InfiniteFuture();
  // Asked before computing; may be empty. Must be fast and thread-safe.
  std::function<bool()> cancelled;
  // Set by the batcher.
  absl::Time queued = absl::InfinitePast();
  // Called once with logits [num_classes], float32; DEADLINE_EXCEEDED,
  // CANCELLED, UNAVAILABLE (shutting down), or the model's error on this row.
  std::function<void(absl::StatusOr<std::vector<float>>)> done;
};

// Which rows wait and when which of them leave together. Has no thread and no
// clock. Not thread-safe.
class BatchQueue {
 public:
  explicit BatchQueue(const BatcherOptions& options) : options_(options) {}

  // Takes all items, or none: UNAVAILABLE when the lane is full.
  absl::Status Push(std::vector<BatchItem> items, absl::Time now);

  // The rows of the next batch, of similar length, oldest first within a
  // length; empty when no batch is to leave yet. The interactive lane goes
  // before the bulk lane.
  std::vector<BatchItem> Pop(absl::Time now);

  // From now on no row waits for others.
  void Hurry() { hurry_ = true; }

  // When Pop is worth calling again without another Push.
  absl::Time NextDue() const;

  // Everything that waits.
  std::vector<BatchItem> Clear();

 private:
  // Tokens and order of arrival: neighbours are similar in length.
  using Key = std::pair<int, uint64_t>;
  struct Waiting {
    BatchItem item;
    absl::Time since;
  };
  using Rows = std::map<Key, Waiting>;
  struct LaneQueue {
    Rows rows;
    // By order of arrival.
    std::map<uint64_t, Rows::iterator> arrivals;
    int64_t bytes = 0;
  };
  // [begin, end) of rows that may share a batch.
  struct Window {
    Rows::iterator begin;
    Rows::iterator end;
    bool full = false;
  };

  bool Due(const LaneQueue& lane, absl::Time now) const;
  bool Fits(int rows, int shortest, int longest) const;
  // Whether rows of the lane are to leave, and which.
  bool Ready(LaneQueue* lane, absl::Time now, Window* window) const;
  Window AroundOldest(LaneQueue* lane) const;
  Window FirstFull(LaneQueue* lane) const;
  std::vector<BatchItem> Take(LaneQueue* lane, const Window& window);

  const BatcherOptions options_;
  bool hurry_ = false;
  uint64_t arrived_ = 0;
  LaneQueue lanes_[2];
};

// Runs a model on batches in a thread of its own. Thread-safe. The model must
// outlive the batcher and is used by it alone, Encode and info apart. Counts in
// the process's metrics.
class Batcher {
 public:
  using Clock = std::function<absl::Time()>;

  // INVALID_ARGUMENT for bad options. `clock` decides what has expired and how
  // long a row has waited.
  static absl::StatusOr<std::unique_ptr<Batcher>> Create(
      TeacherModel* model, const BatcherOptions& options,
      Clock clock = absl::Now);
  // Rows that still wait end as UNAVAILABLE.
  ~Batcher();

  // Queues all items, or none: UNAVAILABLE at once when their lane is full, and
  // then no item's done is called. All items are of one lane.
  absl::Status Submit(std::vector<BatchItem> items);

  // For a server that drains: from now on no row waits for others.
  void Hurry();

 private:
  Batcher(TeacherModel* model, const BatcherOptions& options, Clock clock);
  void Run();
  void Compute(std::vector<BatchItem> batch);
  // Ends a row.
  void Done(const BatchItem& item, absl::StatusOr<std::vector<float>> logits);
  // Of items that are alive. An error that is not of all rows is narrowed down
  // to those that cause it.
  void Infer(absl::Span<BatchItem> items);

  TeacherModel* const model_;
  const Clock clock_;
  TeacherMetrics& metrics_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  BatchQueue queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_BATCHER_H_
