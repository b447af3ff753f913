#include "base/openmp_bridge.h"

#include <cstdint>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;

// Whether two bodies are ever there at the same time: each waits for the other.
bool BodiesMeet(int threads, absl::Duration limit) {
  absl::Mutex mutex;
  int inside = 0;
  bool met = true;
  RunOnThreads(threads, 2, [&](int64_t) {
    const absl::MutexLock lock(&mutex);
    ++inside;
    const auto both = [&] { return inside == 2; };
    met = mutex.AwaitWithTimeout(absl::Condition(&both), limit) && met;
  });
  return met;
}

TEST(OpenmpBridgeTest, BodiesRunAtTheSameTime) {
  EXPECT_TRUE(BodiesMeet(2, absl::Seconds(30)));
}

// The control: what the test above would see if there were one thread.
TEST(OpenmpBridgeTest, OneThreadRunsThemInTurn) {
  EXPECT_FALSE(BodiesMeet(1, absl::Milliseconds(10)));
  std::vector<int64_t> order;
  std::set<std::thread::id> threads;
  RunOnThreads(1, 3, [&](int64_t i) {
    order.push_back(i);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
  EXPECT_THAT(threads, ElementsAre(std::this_thread::get_id()));
}

TEST(OpenmpBridgeTest, ExceptionsComeOutOnce) {
  EXPECT_THROW(
      RunOnThreads(2, 2, [](int64_t) { throw std::runtime_error("full"); }),
      std::runtime_error);
}

}  // namespace
}  // namespace kodistil
