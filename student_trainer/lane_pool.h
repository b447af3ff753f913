// Threads that share out pieces of work: batches to assemble, or cells to train
// side by side.

#ifndef KODISTIL_STUDENT_TRAINER_LANE_POOL_H_
#define KODISTIL_STUDENT_TRAINER_LANE_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace kodistil {

// Lanes sleep while there is nothing to do. Not thread-safe: one thread calls.
class LanePool {
 public:
  // `lanes`: 1 or more, the caller's thread is one of them.
  explicit LanePool(int lanes);
  ~LanePool();
  LanePool(const LanePool&) = delete;
  LanePool& operator=(const LanePool&) = delete;

  int lanes() const { return static_cast<int>(helpers_.size()) + 1; }

  // body(0) ... body(count - 1), each once, on any lane, in any order.
  void Run(size_t count, absl::FunctionRef<void(size_t)> body);

  // body(cell, threads) for every cell: as many cells at once as there are
  // lanes, each with one thread; the cells that are left over share the lanes,
  // `threads` for each.
  void RunCells(size_t cells, absl::FunctionRef<void(size_t, int)> body);

 private:
  void HelperLoop();
  // Takes pieces until there are none.
  void Work();

  // Of the run in progress; set before run_ is raised.
  const absl::FunctionRef<void(size_t)>* body_ = nullptr;
  size_t count_ = 0;
  std::atomic<size_t> next_{0};

  absl::Mutex mutex_;
  uint64_t run_ ABSL_GUARDED_BY(mutex_) = 0;
  // Helpers that are not yet through with the run.
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> helpers_;  // last: they use the rest
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_LANE_POOL_H_
