// A teacher server with far more calls than it can serve: over gRPC, with a
// model that takes 20 ms a batch on one thread.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/testing.h"
#include "teacher_service/fake_teacher_model.h"
#include "teacher_service/teacher_service_impl.h"

namespace kodistil {
namespace {

constexpr int kCalls = 200;
constexpr int kQueueRows = 16;
constexpr int kBursts = 10;
constexpr int kBatchRows = 4;
constexpr absl::Duration kBatchTime = absl::Milliseconds(20);
constexpr absl::Duration kRefusalTime = absl::Milliseconds(50);
// The longest text that is taken, in Korean: 30 KB.
constexpr int kTextCharacters = 10000;
constexpr int64_t kMegabyte = 1 << 20;
// Sanitizers keep memory of their own.
constexpr int64_t kBoundedGrowth = (kSanitized ? 1000 : 24) * kMegabyte;

int64_t ResidentBytes() {
  int64_t pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fscanf(file, "%*d %ld", &pages), 1);
  std::fclose(file);
  return pages * 4096;
}

std::string LongText() {
  std::string text;
  for (int i = 0; i < kTextCharacters; ++i) text += "가";
  return text;
}

// Infer calls under way together.
class Calls {
 public:
  Calls(int count, const std::string& text) : left_(count) {
    request_.add_inputs()->set_text(text);
  }

  void Begin(v1::TeacherService::Stub* stub, absl::Duration deadline) {
    calls_.push_back(std::make_unique<Call>());
    Call* const call = calls_.back().get();
    const absl::Time begin = absl::Now();
    if (deadline != absl::InfiniteDuration()) {
      call->context.set_deadline(absl::ToChronoTime(begin + deadline));
    }
    stub->async()->Infer(&call->context, &request_, &call->response,
                         [this, call, begin](grpc::Status status) {
                           call->took = absl::Now() - begin;
                           call->status = FromGrpcCall(status, call->context);
                           left_.DecrementCount();
                         });
  }

  void Cancel() {
    for (const auto& call : calls_) call->context.TryCancel();
  }

  void Wait() { left_.Wait(); }

  // After Wait.
  int Count(absl::StatusCode code) const {
    return std::count_if(calls_.begin(), calls_.end(), [&](const auto& call) {
      return call->status.code() == code;
    });
  }
  // The longest of those that ended so.
  absl::Duration Slowest(absl::StatusCode code) const {
    absl::Duration slowest;
    for (const auto& call : calls_) {
      if (call->status.code() == code) slowest = std::max(slowest, call->took);
    }
    return slowest;
  }
  bool AllRefusalsHavePushback() const {
    return std::all_of(calls_.begin(), calls_.end(), [](const auto& call) {
      return !absl::IsUnavailable(call->status) ||
             GetPushback(call->status) > absl::ZeroDuration();
    });
  }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::InferResponse response;
    absl::Status status;
    absl::Duration took;
  };

  v1::InferRequest request_;
  std::vector<std::unique_ptr<Call>> calls_;
  absl::BlockingCounter left_;
};

class OverloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.batcher.max_queue_rows = kQueueRows;
    options_.batcher.max_batch_rows = kBatchRows;
    options_.batcher.max_queue_delay = absl::ZeroDuration();
  }

  void TearDown() override {
    if (!gate_.HasBeenNotified()) gate_.Notify();
    if (server_ != nullptr) server_->Shutdown();
  }

  void Start() {
    ASSERT_OK_AND_ASSIGN(service_, TeacherServiceImpl::Create(
                                       &model_, /*store=*/nullptr, options_));
    ASSERT_OK_AND_ASSIGN(server_, Server::Start({}, {service_.get()}));
    for (int i = 0; i < 4; ++i) {
      stubs_.push_back(
          v1::TeacherService::NewStub(NewChannel(server_->address())));
    }
    Arrive();
  }

  // Starts with a model that is held at the gate, and a row in it.
  void StartHeld() {
    model_.gate = &gate_;
    Start();
    held_ = Begin(1, "1");
    model_.entered.WaitForNotification();
  }

  // On return all that was sent before has reached the server: a connection
  // keeps the order.
  void Arrive() {
    for (const auto& stub : stubs_) {
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      v1::DescribeModelResponse response;
      ASSERT_OK(FromGrpcStatus(stub->DescribeModel(&context, {}, &response)));
    }
  }

  std::unique_ptr<Calls> Begin(
      int count, const std::string& text,
      absl::Duration deadline = absl::InfiniteDuration()) {
    auto calls = std::make_unique<Calls>(count, text);
    for (int i = 0; i < count; ++i) {
      calls->Begin(stubs_[i % stubs_.size()].get(), deadline);
    }
    return calls;
  }

  absl::Notification gate_;
  FakeTeacherModel model_;
  std::unique_ptr<Calls> held_;
  TeacherServiceOptions options_;
  std::unique_ptr<TeacherServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<v1::TeacherService::Stub>> stubs_;
};

TEST_F(OverloadTest, CallsBeyondTheQueueAreRefusedAndTheRestInTime) {
  model_.batch_time = kBatchTime;
  Start();
  const absl::Duration deadline = absl::Seconds(5);
  const absl::Time begin = absl::Now();
  const auto calls = Begin(kCalls, LongText(), deadline);
  calls->Wait();
  // A place is free again when a batch leaves the queue, at the most once in
  // kBatchTime.
  const int batches = 1 + static_cast<int>((absl::Now() - begin) / kBatchTime);
  const int accepted = calls->Count(absl::StatusCode::kOk);
  const int refused = calls->Count(absl::StatusCode::kUnavailable);
  EXPECT_EQ(accepted + refused, kCalls) << "no accepted call was too late";
  EXPECT_EQ(model_.computed, accepted);
  EXPECT_GE(accepted, kQueueRows);
  EXPECT_LE(accepted, kQueueRows + kBatchRows * batches);
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(calls->AllRefusalsHavePushback());
  std::printf("%d of %d calls accepted, the slowest in %.0f ms; %d refused\n",
              accepted, kCalls,
              absl::ToDoubleMilliseconds(calls->Slowest(absl::StatusCode::kOk)),
              refused);
}

// The control: a long queue refuses nobody, and many are too late.
TEST_F(OverloadTest, LongQueueMakesCallsLate) {
  model_.batch_time = kBatchTime;
  options_.batcher.max_queue_rows = 10 * kCalls;
  options_.batcher.max_batch_rows = 1;
  Start();
  // A quarter of what all would take.
  const auto calls = Begin(kCalls, "1", kCalls * kBatchTime / 4);
  calls->Wait();
  EXPECT_EQ(calls->Count(absl::StatusCode::kUnavailable), 0);
  EXPECT_GT(calls->Count(absl::StatusCode::kDeadlineExceeded), 0);
}

// While the model is held, so that nothing but the refusals is timed. The
// machine may be busy: the best of some bursts counts.
TEST_F(OverloadTest, RefusalsComeAtOnce) {
  StartHeld();
  const auto waiting = Begin(kQueueRows, "1");
  Arrive();
  absl::Duration best = absl::InfiniteDuration();
  for (int burst = 0; burst < 20 && best >= kRefusalTime; ++burst) {
    const auto calls = Begin(kCalls, "1");
    calls->Wait();
    ASSERT_EQ(calls->Count(absl::StatusCode::kUnavailable), kCalls);
    EXPECT_TRUE(calls->AllRefusalsHavePushback());
    best = std::min(best, calls->Slowest(absl::StatusCode::kUnavailable));
  }
  EXPECT_LT(best, kRefusalTime);
  std::printf("the slowest of %d refusals took %.1f ms\n", kCalls,
              absl::ToDoubleMilliseconds(best));
  gate_.Notify();
  waiting->Wait();
  EXPECT_EQ(waiting->Count(absl::StatusCode::kOk), kQueueRows);
}

class OverloadMemoryTest : public OverloadTest {
 protected:
  // What bursts of long texts add to the resident memory while the model is
  // held; ends their calls.
  int64_t Growth() {
    const std::string text = LongText();
    std::vector<std::unique_ptr<Calls>> bursts;
    int64_t before = 0;
    for (int burst = 0; burst < kBursts; ++burst) {
      bursts.push_back(Begin(kCalls, text));
      Arrive();
      // Nothing of what is refused is kept, here as there.
      if (refused_) {
        bursts.back()->Wait();
        EXPECT_EQ(bursts.back()->Count(absl::StatusCode::kUnavailable), kCalls);
        bursts.pop_back();
      }
      // The first one warms up.
      if (burst == 0) before = ResidentBytes();
    }
    const int64_t growth = ResidentBytes() - before;
    std::printf(
        "%d MiB more for %d MiB of texts\n",
        static_cast<int>(growth / kMegabyte),
        static_cast<int>((kBursts - 1) * kCalls * text.size() / kMegabyte));
    gate_.Notify();
    for (const auto& calls : bursts) calls->Wait();
    return growth;
  }

  // Whether the queue is full.
  bool refused_ = true;
};

TEST_F(OverloadMemoryTest, BoundedQueueBoundsMemory) {
  StartHeld();
  const auto waiting = Begin(kQueueRows, LongText());
  Arrive();
  const int64_t growth = Growth();
  EXPECT_LT(growth, kBoundedGrowth);
  waiting->Wait();
}

TEST_F(OverloadMemoryTest, QueueIsBoundedInBytesToo) {
  options_.batcher.max_queue_rows = 10 * kBursts * kCalls;
  options_.batcher.max_queue_bytes = kMegabyte;
  StartHeld();
  const auto waiting = Begin(kCalls, LongText());
  Arrive();
  const int64_t growth = Growth();
  EXPECT_LT(growth, kBoundedGrowth);
  waiting->Wait();
  EXPECT_EQ(waiting->Count(absl::StatusCode::kOk),
            static_cast<int>(kMegabyte / LongText().size()));
}

// The control.
TEST_F(OverloadMemoryTest, LongQueueTakesMemory) {
  options_.batcher.max_queue_rows = 10 * kBursts * kCalls;
  refused_ = false;
  StartHeld();
  EXPECT_GT(Growth(), 48 * kMegabyte);
}

// Row 1 holds the model; what nobody waits for any more is then not computed.
TEST_F(OverloadTest, ExpiredAndCancelledCallsAreNotComputed) {
  const absl::Duration deadline = absl::Milliseconds(10);
  // The last call may come before the rows of the others are dropped.
  options_.batcher.max_queue_rows = kQueueRows + 1;
  StartHeld();
  const auto expired = Begin(8, "2", deadline);
  Arrive();
  // The server counts the deadline from when the call reached it.
  absl::Notification never;
  never.WaitForNotificationWithTimeout(2 * deadline);
  expired->Wait();
  const auto cancelled = Begin(8, "3");
  Arrive();
  cancelled->Cancel();
  cancelled->Wait();
  // The cancellations come before this, and are noted meanwhile.
  for (int i = 0; i < 10; ++i) Arrive();
  gate_.Notify();
  held_->Wait();
  const auto last = Begin(1, "4");
  last->Wait();
  EXPECT_EQ(expired->Count(absl::StatusCode::kDeadlineExceeded), 8);
  EXPECT_EQ(last->Count(absl::StatusCode::kOk), 1);
  EXPECT_EQ(model_.computed, 2) << "the first row and the last";
}

// The control: the same calls are computed while somebody waits.
TEST_F(OverloadTest, CallsThatSomebodyWaitsForAreComputed) {
  StartHeld();
  const auto calls = Begin(8, "2", absl::Minutes(1));
  Arrive();
  gate_.Notify();
  calls->Wait();
  EXPECT_EQ(calls->Count(absl::StatusCode::kOk), 8);
  EXPECT_EQ(model_.computed, 9);
}

}  // namespace
}  // namespace kodistil
