#include "student_trainer/thread_pair.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace kodistil {
namespace {

// Some 200 microseconds: what lies between two pieces of a training step.
constexpr int kSpins = 8000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

void ThreadPair::SetThreads(int threads) {
  use_helper_ = threads >= 2;
  if (!use_helper_ || helper_ != nullptr) return;
  helper_ = std::make_unique<std::thread>([this] { HelperLoop(); });
}

ThreadPair::~ThreadPair() {
  if (helper_ == nullptr) return;
  {
    absl::MutexLock lock(&sleep_);
    stop_ = true;
    wake_.Signal();
  }
  helper_->join();
}

void ThreadPair::Run(absl::FunctionRef<void(int)> body) {
  const NoDenormals no_denormals;
  if (!use_helper_ || !one_run_.TryLock()) {
    body(0);
    body(1);
    return;
  }
  body_ = &body;
  const uint64_t run = begun_.fetch_add(1) + 1;
  {
    absl::MutexLock lock(&sleep_);
    if (asleep_) wake_.Signal();
  }
  body(0);
  // The helper is at work, on a part of the same size.
  for (int spins = 0; finished_.load(std::memory_order_acquire) < run;
       ++spins) {
    spins < kSpins ? Pause() : std::this_thread::yield();
  }
  one_run_.Unlock();
}

void ThreadPair::WaitForWork(uint64_t done) {
  const auto ready = [&] {
    return stop_.load() || begun_.load(std::memory_order_acquire) > done;
  };
  for (int spins = 0; spins < kSpins; ++spins) {
    if (ready()) return;
    Pause();
  }
  absl::MutexLock lock(&sleep_);
  asleep_ = true;
  while (!ready()) wake_.Wait(&sleep_);
  asleep_ = false;
}

void ThreadPair::HelperLoop() {
  const NoDenormals no_denormals;
  for (uint64_t done = 0;; ++done) {
    WaitForWork(done);
    if (stop_.load()) return;
    (*body_)(1);
    finished_.store(done + 1, std::memory_order_release);
  }
}

#if defined(__x86_64__)
NoDenormals::NoDenormals() : before_(_mm_getcsr()) {
  // Flush to zero, denormals are zero.
  _mm_setcsr(static_cast<unsigned>(before_) | 0x8040);
}
NoDenormals::~NoDenormals() { _mm_setcsr(static_cast<unsigned>(before_)); }
#elif defined(__aarch64__)
NoDenormals::NoDenormals() {
  asm volatile("mrs %0, fpcr" : "=r"(before_));
  asm volatile("msr fpcr, %0" : : "r"(before_ | (uint64_t{1} << 24)));
}
NoDenormals::~NoDenormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
#else
NoDenormals::NoDenormals() : before_(0) {}
NoDenormals::~NoDenormals() { (void)before_; }
#endif

}  // namespace kodistil
