// Threads behind a queue that refuses what it has no place for.

#ifndef KODISTIL_BASE_WORKER_POOL_H_
#define KODISTIL_BASE_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace kodistil {

struct WorkerPoolOptions {
  // 1 to 1,024.
  int threads = 1;
  // Tasks that wait for a thread, 0 to 1,000,000; with 0 a task is taken only
  // when a thread is idle.
  int max_queue = 64;

  absl::Status Validate() const;
};

// Thread-safe.
class WorkerPool {
 public:
  // `options` must be valid.
  explicit WorkerPool(const WorkerPoolOptions& options);
  // Finishes what was taken.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `task` on one of the threads, first come, first served. False, at
  // once, when the queue is full or the pool is stopped; `task` is then not
  // run.
  bool TrySubmit(std::function<void()> task);

  // Takes no more tasks, finishes those taken. Idempotent; not for the pool's
  // own threads.
  void Stop();

  // Tasks that wait for a thread.
  int queued() const;

 private:
  void WorkerLoop();

  const WorkerPoolOptions options_;
  mutable absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex join_mutex_;
  // Last: they use the rest.
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(join_mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_WORKER_POOL_H_
