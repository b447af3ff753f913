// Two threads that work side by side: the caller's and a helper.

#ifndef KODISTIL_STUDENT_TRAINER_THREAD_PAIR_H_
#define KODISTIL_STUDENT_TRAINER_THREAD_PAIR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace kodistil {

// Runs a body for 0 and for 1. With two threads the helper waits busily for a
// moment after each piece of work, then sleeps: a training step hands over work
// several times in a millisecond. Thread-safe; one call at a time gets the
// helper, others do both parts themselves.
class ThreadPair {
 public:
  // `threads`: 1, or 2 and more for a helper.
  explicit ThreadPair(int threads) { SetThreads(threads); }
  ~ThreadPair();
  ThreadPair(const ThreadPair&) = delete;
  ThreadPair& operator=(const ThreadPair&) = delete;

  // Gives or takes the helper; not while Run runs. A helper that is taken
  // sleeps.
  void SetThreads(int threads);

  // body(0) and body(1), in any order or at once. Denormal numbers count as
  // zero in both.
  void Run(absl::FunctionRef<void(int)> body);

 private:
  void HelperLoop();
  void WaitForWork(uint64_t done);

  absl::Mutex one_run_;
  // Runs begun and runs that the helper has finished.
  std::atomic<uint64_t> begun_{0};
  std::atomic<uint64_t> finished_{0};
  // Set before begun_ is raised.
  const absl::FunctionRef<void(int)>* body_ = nullptr;
  std::atomic<bool> stop_{false};
  absl::Mutex sleep_;
  bool asleep_ ABSL_GUARDED_BY(sleep_) = false;
  absl::CondVar wake_;
  bool use_helper_ = false;
  std::unique_ptr<std::thread> helper_;
};

// Treats denormal numbers as zero in this thread while it lives: they cost a
// hundred cycles each.
class NoDenormals {
 public:
  NoDenormals();
  ~NoDenormals();

 private:
  uint64_t before_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_THREAD_PAIR_H_
