#include "base/worker_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace kodistil {

absl::Status WorkerPoolOptions::Validate() const {
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat(threads, " threads: expected 1 to 1024"));
  }
  if (max_queue < 0 || max_queue > 1000000) {
    return absl::InvalidArgumentError(
        absl::StrCat("a queue of ", max_queue, ": expected 0 to 1000000"));
  }
  return absl::OkStatus();
}

WorkerPool::WorkerPool(const WorkerPoolOptions& options) : options_(options) {
  absl::MutexLock lock(&join_mutex_);
  // Each thread is idle from now on, not only from when it first runs.
  {
    absl::MutexLock lock_state(&mutex_);
    idle_ = options_.threads;
  }
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { WorkerLoop(); });
  }
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TrySubmit(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (stopped_) return false;
  // Tasks that idle threads are about to take do not wait.
  const int places = options_.max_queue + idle_;
  if (static_cast<int>(queue_.size()) >= places) return false;
  queue_.push_back(std::move(task));
  return true;
}

void WorkerPool::WorkerLoop() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || !queue_.empty();
  };
  while (true) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_work));
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      --idle_;
    }
    task();
    task = nullptr;  // what it holds may be waited for
    absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

void WorkerPool::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  absl::MutexLock lock(&join_mutex_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

int WorkerPool::queued() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(queue_.size());
}

}  // namespace kodistil
