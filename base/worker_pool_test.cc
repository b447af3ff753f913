#include "base/worker_pool.h"

#include <atomic>
#include <memory>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(WorkerPoolTest, RunsEveryTaskThatItTook) {
  std::atomic<int> ran{0};
  {
    WorkerPool pool({/*threads=*/3, /*max_queue=*/1000});
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(pool.TrySubmit([&ran] { ++ran; }));
    }
  }
  EXPECT_EQ(ran, 500);
}

// The threads are held, so the bound is exact: two that run, three that wait.
TEST(WorkerPoolTest, RefusesWhatItHasNoPlaceFor) {
  WorkerPool pool({/*threads=*/2, /*max_queue=*/3});
  absl::Notification go;
  absl::BlockingCounter started(2);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(pool.TrySubmit([&] {
      started.DecrementCount();
      go.WaitForNotification();
    }));
  }
  started.Wait();
  std::atomic<int> ran{0};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(pool.TrySubmit([&] { ++ran; }));
  EXPECT_EQ(pool.queued(), 3);
  EXPECT_FALSE(pool.TrySubmit([&] { ran += 100; }));
  go.Notify();
  pool.Stop();
  EXPECT_EQ(ran, 3);
}

TEST(WorkerPoolTest, WithoutAQueueAnIdleThreadIsNeeded) {
  WorkerPool pool({/*threads=*/1, /*max_queue=*/0});
  absl::Notification go;
  EXPECT_TRUE(pool.TrySubmit([&] { go.WaitForNotification(); }));
  EXPECT_FALSE(pool.TrySubmit([] {}));
  go.Notify();
}

TEST(WorkerPoolTest, TakesNothingOnceStopped) {
  WorkerPool pool({/*threads=*/1, /*max_queue=*/8});
  pool.Stop();
  pool.Stop();
  EXPECT_FALSE(pool.TrySubmit([] {}));
}

TEST(WorkerPoolTest, ForgetsATaskOnceItRan) {
  WorkerPool pool({/*threads=*/1, /*max_queue=*/8});
  const auto held = std::make_shared<int>(1);
  ASSERT_TRUE(pool.TrySubmit([held] {}));
  pool.Stop();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(WorkerPoolTest, OptionsNameWhatIsWrong) {
  EXPECT_THAT((WorkerPoolOptions{0, 1}.Validate()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("0 threads: expected 1 to 1024")));
  EXPECT_THAT(
      (WorkerPoolOptions{1, -1}.Validate()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a queue of -1")));
}

}  // namespace
}  // namespace kodistil
