#include "student_trainer/lane_pool.h"

#include <atomic>
#include <utility>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/mutex.h"
#include "base/testing.h"

namespace kodistil {
namespace {

TEST(LanePoolTest, EveryPieceIsDoneOnce) {
  for (const int lanes : {1, 2, 3, 8}) {
    LanePool pool(lanes);
    EXPECT_EQ(pool.lanes(), lanes);
    for (const size_t count : {0, 1, 2, 7, 100}) {
      std::vector<std::atomic<int>> done(count);
      pool.Run(count, [&](size_t i) { ++done[i]; });
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(done[i], 1) << lanes;
    }
  }
}

TEST(LanePoolTest, PiecesRunAtOnce) {
  LanePool pool(3);
  // Each waits for the two others: one lane alone would wait for ever.
  absl::Barrier* const barrier = new absl::Barrier(3);
  pool.Run(3, [&](size_t) {
    if (barrier->Block()) delete barrier;
  });
}

TEST(LanePoolTest, CellsGetAThreadEachAndTheRestShareThem) {
  const auto threads_of = [](int lanes, size_t cells) {
    LanePool pool(lanes);
    absl::Mutex mutex;
    std::vector<int> threads(cells);
    pool.RunCells(cells, [&](size_t cell, int count) {
      absl::MutexLock lock(&mutex);
      threads[cell] += count;
    });
    return threads;
  };
  EXPECT_EQ(threads_of(1, 2), std::vector<int>({1, 1}));
  EXPECT_EQ(threads_of(2, 1), std::vector<int>({2}));
  EXPECT_EQ(threads_of(2, 3), std::vector<int>({1, 1, 2}));
  EXPECT_EQ(threads_of(4, 6), std::vector<int>({1, 1, 1, 1, 2, 2}));
  EXPECT_EQ(threads_of(4, 3), std::vector<int>({1, 1, 1}));
}

}  // namespace
}  // namespace kodistil
