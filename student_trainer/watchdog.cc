#include "student_trainer/watchdog.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace kodistil {
namespace {

constexpr int kSlowdown = 5;
// Looks within one timeout.
constexpr int kLooks = 10;

}  // namespace

absl::Duration StepWatch::limit() const {
  return std::max(timeout_, kSlowdown * longest_);
}

void StepWatch::Begin(absl::Time now) {
  since_ = now;
  silent_ = absl::ZeroDuration();
}

absl::Duration StepWatch::Look(uint64_t steps, absl::Time now) {
  if (steps != steps_) {
    // The step that ended took no less than was seen of it.
    longest_ = std::max(longest_, silent_);
    steps_ = steps;
    Begin(now);
    return absl::ZeroDuration();
  }
  silent_ = now - since_;
  return silent_ > limit() ? silent_ : absl::ZeroDuration();
}

Watchdog::Watchdog(absl::Duration timeout, Hung hung)
    : interval_(timeout / kLooks),
      hung_(std::move(hung)),
      watch_(timeout),
      thread_([this] { Loop(); }) {}

Watchdog::~Watchdog() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void Watchdog::Watch(bool on) {
  absl::MutexLock lock(&mutex_);
  watching_ = on;
  if (on) watch_.Begin(absl::Now());
}

void Watchdog::Loop() {
  absl::MutexLock lock(&mutex_);
  while (!mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) {
    if (!watching_) continue;
    const absl::Duration silent = watch_.Look(steps_, absl::Now());
    if (silent == absl::ZeroDuration()) continue;
    watching_ = false;
    hung_(silent);
  }
}

}  // namespace kodistil
