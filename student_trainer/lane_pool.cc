#include "student_trainer/lane_pool.h"

#include <algorithm>

namespace kodistil {

LanePool::LanePool(int lanes) {
  for (int i = 1; i < lanes; ++i) {
    helpers_.emplace_back([this] { HelperLoop(); });
  }
}

LanePool::~LanePool() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  for (std::thread& helper : helpers_) helper.join();
}

void LanePool::Work() {
  for (size_t i = next_++; i < count_; i = next_++) (*body_)(i);
}

void LanePool::Run(size_t count, absl::FunctionRef<void(size_t)> body) {
  if (helpers_.empty() || count < 2) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  body_ = &body;
  count_ = count;
  next_ = 0;
  {
    absl::MutexLock lock(&mutex_);
    busy_ = static_cast<int>(helpers_.size());
    ++run_;
  }
  Work();
  const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return busy_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&done));
}

void LanePool::RunCells(size_t cells,
                        absl::FunctionRef<void(size_t, int)> body) {
  const size_t most = lanes();
  for (size_t begin = 0; begin < cells; begin += most) {
    const size_t wave = std::min(most, cells - begin);
    const int threads = static_cast<int>(most / wave);
    Run(wave, [&](size_t i) { body(begin + i, threads); });
  }
}

void LanePool::HelperLoop() {
  for (uint64_t seen = 0;; ++seen) {
    {
      const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stop_ || run_ > seen;
      };
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&ready));
      if (stop_) return;
    }
    Work();
    absl::MutexLock lock(&mutex_);
    --busy_;
  }
}

}  // namespace kodistil
