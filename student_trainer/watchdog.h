// Notices a training that makes no progress though its process lives.

#ifndef KODISTIL_STUDENT_TRAINER_WATCHDOG_H_
#define KODISTIL_STUDENT_TRAINER_WATCHDOG_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kodistil {

// What a count of steps, looked at from time to time, says. Thread-compatible.
class StepWatch {
 public:
  // A step is missed after `timeout`, or after five times as long as the
  // longest so far, whichever is longer: a slow machine is not a hung one.
  explicit StepWatch(absl::Duration timeout) : timeout_(timeout) {}

  // A training begins: its first step counts from `now`.
  void Begin(absl::Time now);
  // `steps` have been done. How long none was done, once that is too long;
  // else zero.
  absl::Duration Look(uint64_t steps, absl::Time now);

  absl::Duration limit() const;

 private:
  const absl::Duration timeout_;
  uint64_t steps_ = 0;
  absl::Time since_;
  absl::Duration silent_ = absl::ZeroDuration();   // at the last look
  absl::Duration longest_ = absl::ZeroDuration();  // step seen
};

// A thread that looks after a training. Thread-safe.
class Watchdog {
 public:
  // Called from the watchdog's thread, once for each training that hangs.
  using Hung = std::function<void(absl::Duration silent)>;

  // An infinite timeout never barks.
  Watchdog(absl::Duration timeout, Hung hung);
  ~Watchdog();

  // Something was done. Cheap: for every step.
  void Step() { steps_.fetch_add(1, std::memory_order_relaxed); }

  // Watches while it lives. One at a time, from the thread that trains.
  class Training {
   public:
    explicit Training(Watchdog* watchdog) : watchdog_(*watchdog) {
      watchdog_.Watch(true);
    }
    ~Training() { watchdog_.Watch(false); }
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;

   private:
    Watchdog& watchdog_;
  };

  // While it lives, inside a Training, no steps are expected: what is waited
  // for has deadlines of its own.
  class Pause {
   public:
    explicit Pause(Watchdog* watchdog) : watchdog_(*watchdog) {
      watchdog_.Watch(false);
    }
    ~Pause() { watchdog_.Watch(true); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Watchdog& watchdog_;
  };

 private:
  void Watch(bool on);
  void Loop();

  const absl::Duration interval_;
  const Hung hung_;
  std::atomic<uint64_t> steps_{0};
  absl::Mutex mutex_;
  StepWatch watch_ ABSL_GUARDED_BY(mutex_);
  bool watching_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_WATCHDOG_H_
