#include "student_trainer/watchdog.h"

#include <atomic>

#include "absl/synchronization/notification.h"
#include "base/testing.h"

namespace kodistil {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();
constexpr absl::Duration kTimeout = absl::Minutes(10);

TEST(StepWatchTest, SilenceIsToldOnceItIsTooLong) {
  StepWatch watch(kTimeout);
  watch.Begin(kStart);
  EXPECT_EQ(watch.Look(0, kStart + kTimeout), absl::ZeroDuration());
  const absl::Duration silent = kTimeout + absl::Seconds(1);
  EXPECT_EQ(watch.Look(0, kStart + silent), silent);
}

TEST(StepWatchTest, EveryStepBeginsAnew) {
  StepWatch watch(kTimeout);
  watch.Begin(kStart);
  absl::Time now = kStart;
  for (uint64_t step = 1; step < 10; ++step) {
    now += kTimeout + absl::Seconds(1);
    EXPECT_EQ(watch.Look(step, now), absl::ZeroDuration());
  }
  EXPECT_EQ(watch.limit(), kTimeout) << "looks far apart say nothing of steps";
  EXPECT_GT(watch.Look(9, now + kTimeout + absl::Seconds(1)),
            absl::ZeroDuration());
}

TEST(StepWatchTest, SlowStepsAreWaitedForLonger) {
  StepWatch watch(kTimeout);
  watch.Begin(kStart);
  absl::Time now = kStart + absl::Minutes(9);
  EXPECT_EQ(watch.Look(0, now), absl::ZeroDuration());
  EXPECT_EQ(watch.Look(1, now), absl::ZeroDuration());
  EXPECT_EQ(watch.limit(), absl::Minutes(45));
  now += absl::Minutes(45);
  EXPECT_EQ(watch.Look(1, now), absl::ZeroDuration());
  now += absl::Seconds(1);
  EXPECT_GT(watch.Look(1, now), absl::ZeroDuration());
}

TEST(StepWatchTest, AnotherTrainingStartsFromItsBegin) {
  StepWatch watch(kTimeout);
  watch.Begin(kStart);
  watch.Begin(kStart + absl::Hours(1));
  EXPECT_EQ(watch.Look(0, kStart + absl::Hours(1)), absl::ZeroDuration());
}

TEST(WatchdogTest, HungTrainingIsToldOnce) {
  absl::Notification hung;
  std::atomic<int> times{0};
  Watchdog watchdog(absl::Milliseconds(20), [&](absl::Duration silent) {
    EXPECT_GT(silent, absl::Milliseconds(20));
    if (++times == 1) hung.Notify();
  });
  watchdog.Step();
  {
    const Watchdog::Training training(&watchdog);
    ASSERT_TRUE(hung.WaitForNotificationWithTimeout(absl::Seconds(30)));
  }
  EXPECT_EQ(times, 1);
}

// The control of the test above: each is watched longer than the timeout, by
// the clock of a second watchdog that does bark.
TEST(WatchdogTest, NoTrainingAndAPausedOneAreLeftAlone) {
  std::atomic<int> times{0};
  Watchdog watchdog(absl::Milliseconds(20), [&](absl::Duration) { ++times; });
  const auto pass_the_time = [] {
    absl::Notification hung;
    Watchdog clock(absl::Milliseconds(100),
                   [&](absl::Duration) { hung.Notify(); });
    const Watchdog::Training training(&clock);
    hung.WaitForNotification();
  };
  pass_the_time();
  {
    const Watchdog::Training training(&watchdog);
    const Watchdog::Pause pause(&watchdog);
    pass_the_time();
  }
  EXPECT_EQ(times, 0);
}

TEST(WatchdogTest, InfiniteTimeoutEndsAtOnce) {
  Watchdog watchdog(absl::InfiniteDuration(),
                    [](absl::Duration) { FAIL() << "it barked"; });
  const Watchdog::Training training(&watchdog);
}

}  // namespace
}  // namespace kodistil
