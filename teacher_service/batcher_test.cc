#include "teacher_service/batcher.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/metrics_testing.h"
#include "base/testing.h"
#include "teacher_service/fake_teacher_model.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kStart = absl::UnixEpoch();

BatcherOptions SmallOptions() {
  BatcherOptions options;
  options.max_batch_tokens = 100;
  options.max_batch_rows = 4;
  options.max_queue_delay = absl::Milliseconds(10);
  options.max_queue_rows = 16;
  return options;
}

BatchItem MakeItem(int tokens, const std::string& text = "x",
                   Lane lane = Lane::kInteractive) {
  BatchItem item;
  item.input.tokens = tokens;
  item.input.input.text = text;
  item.lane = lane;
  item.done = [](absl::StatusOr<std::vector<float>>) {};
  return item;
}

std::vector<BatchItem> One(BatchItem item) {
  std::vector<BatchItem> items;
  items.push_back(std::move(item));
  return items;
}

std::vector<std::string> TextsOf(const std::vector<BatchItem>& batch) {
  std::vector<std::string> texts;
  for (const BatchItem& item : batch) texts.push_back(item.input.input.text);
  return texts;
}

TEST(BatchQueueTest, AFullBatchLeavesAtOnce) {
  BatchQueue queue(SmallOptions());
  for (const char* text : {"a", "b", "c"}) {
    ASSERT_OK(queue.Push(One(MakeItem(5, text)), kStart));
    EXPECT_THAT(queue.Pop(kStart), IsEmpty());
  }
  ASSERT_OK(queue.Push(One(MakeItem(5, "d")), kStart));
  EXPECT_THAT(TextsOf(queue.Pop(kStart)), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(queue.Pop(kStart), IsEmpty());
}

TEST(BatchQueueTest, APartialBatchLeavesAfterTheDelay) {
  BatchQueue queue(SmallOptions());
  EXPECT_EQ(queue.NextDue(), absl::InfiniteFuture());
  ASSERT_OK(queue.Push(One(MakeItem(5, "a")), kStart));
  ASSERT_OK(queue.Push(One(MakeItem(5, "b")), kStart + absl::Milliseconds(4)));
  EXPECT_EQ(queue.NextDue(), kStart + absl::Milliseconds(10));
  EXPECT_THAT(queue.Pop(kStart + absl::Milliseconds(9)), IsEmpty());
  EXPECT_THAT(TextsOf(queue.Pop(kStart + absl::Milliseconds(10))),
              ElementsAre("a", "b"));
}

TEST(BatchQueueTest, NoRowWaitsForOthersInAHurry) {
  BatchQueue queue(SmallOptions());
  ASSERT_OK(queue.Push(One(MakeItem(5, "a")), kStart));
  ASSERT_OK(queue.Push(One(MakeItem(5, "b", Lane::kBulk)), kStart));
  EXPECT_THAT(queue.Pop(kStart), IsEmpty());
  queue.Hurry();
  EXPECT_THAT(TextsOf(queue.Pop(kStart)), ElementsAre("a"));
  EXPECT_THAT(TextsOf(queue.Pop(kStart)), ElementsAre("b"));
  EXPECT_THAT(queue.Pop(kStart), IsEmpty());
}

TEST(BatchQueueTest, ALaneIsFullByBytesToo) {
  BatcherOptions options = SmallOptions();
  options.max_queue_bytes = 1 << 20;
  BatchQueue queue(options);
  BatchItem large = MakeItem(5);
  large.bytes = 1 << 20;
  ASSERT_OK(queue.Push(One(large), kStart));
  BatchItem small = MakeItem(5);
  small.bytes = 1;
  EXPECT_THAT(queue.Push(One(small), kStart),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("1048576 bytes wait, 1 more")));
  EXPECT_EQ(queue.Pop(kStart + absl::Seconds(1)).size(), 1u);
  EXPECT_OK(queue.Push(One(small), kStart));
}

TEST(BatchQueueTest, TokensCountWithPadding) {
  BatchQueue queue(SmallOptions());
  // 3 x 34 tokens exceed 100, though 30 + 30 + 34 do not.
  for (const auto& [tokens, text] :
       std::vector<std::pair<int, const char*>>{{30, "a"}, {30, "b"}}) {
    ASSERT_OK(queue.Push(One(MakeItem(tokens, text)), kStart));
  }
  ASSERT_OK(queue.Push(One(MakeItem(34, "c")), kStart));
  const absl::Time late = kStart + absl::Seconds(1);
  EXPECT_THAT(TextsOf(queue.Pop(late)), ElementsAre("a", "b"));
  EXPECT_THAT(TextsOf(queue.Pop(late)), ElementsAre("c"));
}

TEST(BatchQueueTest, ARowBeyondTheBudgetGoesAlone) {
  BatchQueue queue(SmallOptions());
  ASSERT_OK(queue.Push(One(MakeItem(500, "huge")), kStart));
  ASSERT_OK(queue.Push(One(MakeItem(501, "huger")), kStart));
  EXPECT_THAT(TextsOf(queue.Pop(kStart)), ElementsAre("huge"));
  EXPECT_THAT(TextsOf(queue.Pop(kStart)), ElementsAre("huger"));
}

TEST(BatchQueueTest, RowsOfSimilarLengthShareABatch) {
  BatcherOptions options = SmallOptions();
  options.max_batch_tokens = 10000;
  BatchQueue queue(options);
  ASSERT_OK(queue.Push(One(MakeItem(10, "short1")), kStart));
  ASSERT_OK(queue.Push(One(MakeItem(200, "long1")), kStart));
  ASSERT_OK(queue.Push(One(MakeItem(12, "short2")), kStart));
  ASSERT_OK(queue.Push(One(MakeItem(210, "long2")), kStart));
  const absl::Time late = kStart + absl::Seconds(1);
  EXPECT_THAT(TextsOf(queue.Pop(late)), ElementsAre("short1", "short2"));
  EXPECT_THAT(TextsOf(queue.Pop(late)), ElementsAre("long1", "long2"));
}

TEST(BatchQueueTest, AFullBatchLeavesThoughTheOldestRowIsOfAnotherLength) {
  BatcherOptions options = SmallOptions();
  options.max_batch_tokens = 10000;
  BatchQueue queue(options);
  ASSERT_OK(queue.Push(One(MakeItem(300, "old")), kStart));
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(queue.Push(One(MakeItem(8, absl::StrCat(i))), kStart));
  }
  EXPECT_THAT(TextsOf(queue.Pop(kStart)), ElementsAre("0", "1", "2", "3"));
  EXPECT_THAT(queue.Pop(kStart), IsEmpty());
  EXPECT_EQ(queue.NextDue(), kStart + absl::Milliseconds(10));
}

TEST(BatchQueueTest, InteractiveRowsGoBeforeBulk) {
  BatchQueue queue(SmallOptions());
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(queue.Push(One(MakeItem(5, "bulk", Lane::kBulk)), kStart));
  }
  // Later, and not even due.
  const absl::Time later = kStart + absl::Milliseconds(1);
  ASSERT_OK(queue.Push(One(MakeItem(5, "now")), later));
  EXPECT_THAT(TextsOf(queue.Pop(later)), ElementsAre("now"));
  EXPECT_EQ(queue.Pop(later).size(), 4u);
}

TEST(BatchQueueTest, AFullLaneIsUnavailableAndKeepsItsRows) {
  BatchQueue queue(SmallOptions());
  for (int i = 0; i < 16; ++i) {
    ASSERT_OK(queue.Push(One(MakeItem(5)), kStart));
  }
  EXPECT_THAT(queue.Push(One(MakeItem(5)), kStart),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("the queue is full: 16 rows")));
  EXPECT_OK(queue.Push(One(MakeItem(5, "x", Lane::kBulk)), kStart));
  EXPECT_EQ(queue.Pop(kStart).size(), 4u);
  EXPECT_OK(queue.Push(One(MakeItem(5)), kStart));
}

// Every row leaves exactly once, and no batch breaks a limit.
TEST(BatchQueueTest, RandomRowsAllLeaveWithinTheLimits) {
  const uint64_t seed = 20240229;
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  BatcherOptions options = SmallOptions();
  options.max_batch_rows = 7;
  options.max_queue_rows = 500;
  BatchQueue queue(options);
  uint64_t state = seed;
  std::vector<int> left(500, 0);
  for (int i = 0; i < 500; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const int tokens = 1 + (state >> 33) % 120;
    ASSERT_OK(queue.Push(One(MakeItem(tokens, absl::StrCat(i))), kStart));
  }
  const absl::Time late = kStart + absl::Seconds(1);
  for (auto batch = queue.Pop(late); !batch.empty(); batch = queue.Pop(late)) {
    int longest = 0;
    int shortest = 1000;
    for (const BatchItem& item : batch) {
      ++left[std::stoi(item.input.input.text)];
      longest = std::max(longest, item.input.tokens);
      shortest = std::min(shortest, item.input.tokens);
    }
    EXPECT_LE(batch.size(), 7u);
    if (batch.size() > 1) {
      EXPECT_LE(longest * static_cast<int>(batch.size()), 100);
      EXPECT_LE(longest, shortest + std::max(16, shortest / 4));
    }
  }
  for (int i = 0; i < 500; ++i) EXPECT_EQ(left[i], 1) << "row " << i;
}

TEST(BatcherOptionsTest, BadOptionsAreInvalid) {
  BatcherOptions options;
  EXPECT_OK(options.Validate());
  options.max_batch_rows = 0;
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("max_batch_rows 0")));
  options = {};
  options.max_queue_bytes = 1000;
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("max_queue_bytes")));
  options = {};
  options.max_queue_delay = -absl::Seconds(1);
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
}

// Sets of items whose results are collected in order of the items.
class Results {
 public:
  explicit Results(int count) : values_(count), left_(count) {}

  BatchItem Item(int i, const std::string& text, int tokens = 5) {
    BatchItem item = MakeItem(tokens, text);
    item.done = [this, i](absl::StatusOr<std::vector<float>> value) {
      values_[i] = std::move(value);
      left_.DecrementCount();
    };
    return item;
  }

  const std::vector<absl::StatusOr<std::vector<float>>>& Wait() {
    left_.Wait();
    return values_;
  }

 private:
  std::vector<absl::StatusOr<std::vector<float>>> values_;
  absl::BlockingCounter left_;
};

TEST(BatcherTest, EveryRowGetsItsOwnLogits) {
  FakeTeacherModel model;
  ASSERT_OK_AND_ASSIGN(auto batcher, Batcher::Create(&model, SmallOptions()));
  Results results(16);
  std::vector<BatchItem> items;
  for (int i = 0; i < 16; ++i) {
    items.push_back(results.Item(i, absl::StrCat(i), 1 + 7 * i));
  }
  ASSERT_OK(batcher->Submit(std::move(items)));
  const auto& values = results.Wait();
  for (int i = 0; i < 16; ++i) {
    ASSERT_OK(values[i]);
    EXPECT_THAT(*values[i], ElementsAre(i < 10 ? 1 : 2, i));
  }
}

TEST(BatcherTest, ABadRowFailsAlone) {
  FakeTeacherModel model;
  ASSERT_OK_AND_ASSIGN(auto batcher, Batcher::Create(&model, SmallOptions()));
  Results results(4);
  std::vector<BatchItem> items;
  items.push_back(results.Item(0, "1"));
  items.push_back(results.Item(1, "bad"));
  items.push_back(results.Item(2, "nan"));
  items.push_back(results.Item(3, "4"));
  ASSERT_OK(batcher->Submit(std::move(items)));
  const auto& values = results.Wait();
  EXPECT_OK(values[0]);
  EXPECT_THAT(values[1],
              StatusIs(absl::StatusCode::kInternal, HasSubstr("bad row")));
  EXPECT_THAT(values[2],
              StatusIs(absl::StatusCode::kInternal, HasSubstr("not finite")));
  ASSERT_OK(values[3]);
  EXPECT_THAT(*values[3], ElementsAre(1, 4));
}

TEST(BatcherTest, RowsBatchesAndTokensAreCounted) {
  const auto look = [] {
    const auto parsed = ParseMetrics(MetricRegistry::Process().Text());
    EXPECT_OK(parsed);
    return parsed.ok() ? *parsed : ParsedMetrics();
  };
  TeacherMetrics::Process();  // shown from now on
  const ParsedMetrics before = look();
  FakeTeacherModel model;
  ASSERT_OK_AND_ASSIGN(auto batcher, Batcher::Create(&model, SmallOptions()));
  Results results(6);
  std::vector<BatchItem> items;
  for (int i = 0; i < 5; ++i) {
    items.push_back(results.Item(i, absl::StrCat(i), 7));
  }
  items.push_back(results.Item(5, "nan", 7));
  ASSERT_OK(batcher->Submit(std::move(items)));
  results.Wait();
  batcher = nullptr;
  const ParsedMetrics after = look();
  const auto growth = [&](const std::string& name,
                          const std::string& label = "") {
    return after.Sum(name, label) - before.Sum(name, label);
  };
  EXPECT_EQ(growth("kodistil_teacher_batch_size_sum"), 6);
  EXPECT_EQ(growth("kodistil_teacher_batch_size_count"),
            growth("kodistil_teacher_compute_seconds_count"));
  EXPECT_EQ(growth("kodistil_teacher_queue_seconds_count"), 6);
  EXPECT_EQ(growth("kodistil_teacher_tokens_total"), 6 * 7);
  EXPECT_EQ(growth("kodistil_teacher_failed_rows_total", "reason=\"model\""),
            1);
  EXPECT_EQ(growth("kodistil_teacher_failed_rows_total"), 1);
  EXPECT_EQ(after.Value("kodistil_teacher_pending_requests"), 0);
  EXPECT_EQ(after.Value("kodistil_teacher_pending_tokens"), 0);
}

// Holds the model at a gate with one row, so that what is submitted next waits
// in the queue.
class BusyBatcherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    model_.gate = &gate_;
    BatcherOptions options = SmallOptions();
    options.max_queue_delay = absl::ZeroDuration();
    ASSERT_OK_AND_ASSIGN(batcher_, Batcher::Create(&model_, options, [this] {
                           return kStart + absl::Milliseconds(now_ms_.load());
                         }));
    ASSERT_OK(batcher_->Submit(One(first_.Item(0, "first"))));
    model_.entered.WaitForNotification();
  }

  std::atomic<int> now_ms_{0};
  absl::Notification gate_;
  FakeTeacherModel model_;
  Results first_{1};
  std::unique_ptr<Batcher> batcher_;
};

TEST_F(BusyBatcherTest, ExpiredRowsAreNotComputed) {
  Results results(2);
  std::vector<BatchItem> items;
  items.push_back(results.Item(0, "expires"));
  items.back().deadline = kStart + absl::Milliseconds(10);
  items.push_back(results.Item(1, "lives"));
  items.back().deadline = kStart + absl::Milliseconds(1000);
  ASSERT_OK(batcher_->Submit(std::move(items)));
  now_ms_ = 100;
  gate_.Notify();
  const auto& values = results.Wait();
  EXPECT_THAT(values[0], StatusIs(absl::StatusCode::kDeadlineExceeded,
                                  HasSubstr("before the row was computed")));
  EXPECT_OK(values[1]);
  EXPECT_EQ(model_.computed, 2) << "first and lives";
}

TEST_F(BusyBatcherTest, CancelledRowsAreNotComputed) {
  Results results(2);
  std::atomic<bool> cancelled{false};
  std::vector<BatchItem> items;
  items.push_back(results.Item(0, "cancelled"));
  items.back().cancelled = [&] { return cancelled.load(); };
  items.push_back(results.Item(1, "lives"));
  ASSERT_OK(batcher_->Submit(std::move(items)));
  cancelled = true;
  gate_.Notify();
  const auto& values = results.Wait();
  EXPECT_EQ(values[0].status().code(), absl::StatusCode::kCancelled);
  EXPECT_OK(values[1]);
  EXPECT_EQ(model_.computed, 2) << "first and lives";
}

// 200 calls against a queue of 16: no call waits for the model to be refused,
// and all that were accepted are answered.
TEST_F(BusyBatcherTest, CallsBeyondTheQueueAreRefusedAtOnce) {
  Results accepted(16);
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    BatchItem item = MakeItem(5);
    if (i < 16) {
      item = accepted.Item(i, "x");
    } else {
      item.done = [](absl::StatusOr<std::vector<float>>) {
        ADD_FAILURE() << "a refused row was answered";
      };
    }
    const absl::Status status = batcher_->Submit(One(std::move(item)));
    refused += status.code() == absl::StatusCode::kUnavailable;
  }
  EXPECT_EQ(refused, 184);
  EXPECT_EQ(model_.computed, 0) << "the model is still at the gate";
  gate_.Notify();
  for (const auto& value : accepted.Wait()) EXPECT_OK(value);
  EXPECT_EQ(model_.computed, 17);
}

TEST_F(BusyBatcherTest, RowsThatWaitAtTheEndAreUnavailable) {
  Results results(1);
  ASSERT_OK(batcher_->Submit(One(results.Item(0, "late"))));
  // Ends only after the gate opens.
  Batcher* batcher = batcher_.get();
  std::thread end([this] { batcher_.reset(); });
  // Submit is refused as soon as the end has begun.
  while (batcher->Submit({}).ok()) std::this_thread::yield();
  gate_.Notify();
  end.join();
  EXPECT_THAT(results.Wait()[0], StatusIs(absl::StatusCode::kUnavailable,
                                          HasSubstr("shutting down")));
}

}  // namespace
}  // namespace kodistil
