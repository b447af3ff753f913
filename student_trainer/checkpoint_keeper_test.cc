#include "student_trainer/checkpoint_keeper.h"

#include <atomic>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kLimit = absl::Seconds(30);

// A keeper whose uploads go into a list, and wait while they are held.
class CheckpointKeeperTest : public ::testing::Test {
 protected:
  void Start() {
    CheckpointKeeperOptions options;
    options.upload = [this](absl::string_view content) {
      return Upload(content);
    };
    options.max_bytes = [this] { return max_bytes_.load(); };
    options.interval = [this] { return interval_; };
    keeper_ = std::make_unique<CheckpointKeeper>(std::move(options));
  }

  absl::StatusOr<std::string> Upload(absl::string_view content) {
    absl::MutexLock lock(&mutex_);
    uploads_.emplace_back(content);
    mutex_.Await(absl::Condition(
        +[](bool* held) { return !*held; }, &held_));
    if (!error_.ok()) return error_;
    return Sha256Hex(content);
  }

  void SetHeld(bool held) {
    absl::MutexLock lock(&mutex_);
    held_ = held;
  }

  // Waits for the n-th upload's begin.
  bool AwaitUploads(size_t n) {
    absl::MutexLock lock(&mutex_);
    const auto begun = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return uploads_.size() >= n;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&begun), kLimit);
  }

  std::vector<std::string> Uploads() {
    absl::MutexLock lock(&mutex_);
    return uploads_;
  }

  void Offer(const std::string& trial, uint32_t epoch,
             const std::string& content) {
    const std::string path = JoinPath(folder_, "checkpoint");
    ASSERT_OK(WriteFileAtomically(path, content));
    ASSERT_OK_AND_ASSIGN(MappedFile file, MappedFile::Open(path));
    keeper_->Offer(trial, epoch, std::move(file));
  }

  const std::string folder_ = NewTestDir();
  std::atomic<uint64_t> max_bytes_{1000};
  absl::Duration interval_ = absl::ZeroDuration();
  absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status error_;
  std::vector<std::string> uploads_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<CheckpointKeeper> keeper_;
};

TEST_F(CheckpointKeeperTest, UploadedCheckpointIsTheNewest) {
  Start();
  EXPECT_FALSE(keeper_->Newest("a").has_value());
  Offer("a", 3, "after epoch 3");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  const auto newest = keeper_->Newest("a");
  ASSERT_TRUE(newest.has_value());
  EXPECT_EQ(newest->epoch(), 3u);
  EXPECT_EQ(newest->digest(), Sha256Hex("after epoch 3"));
  EXPECT_EQ(newest->bytes(), 13u);
  EXPECT_FALSE(keeper_->Newest("b").has_value());
}

TEST_F(CheckpointKeeperTest, OfferNeverWaitsAndTheNewestReplacesWhatWaits) {
  Start();
  SetHeld(true);
  Offer("a", 1, "one");
  ASSERT_TRUE(AwaitUploads(1));
  for (int epoch = 2; epoch <= 5; ++epoch) {
    Offer("a", epoch, absl::StrCat("number ", epoch));
  }
  EXPECT_FALSE(keeper_->Flush("a", absl::ZeroDuration()));
  SetHeld(false);
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  // The content is that of the offer, though the file was replaced since.
  EXPECT_THAT(Uploads(), ElementsAre("one", "number 5"));
  EXPECT_EQ(keeper_->Newest("a")->epoch(), 5u);
}

TEST_F(CheckpointKeeperTest, NextUploadOfATrialWaitsItsIntervalButNotInFlush) {
  interval_ = absl::Hours(1);
  Start();
  Offer("a", 1, "a1");
  ASSERT_TRUE(AwaitUploads(1));
  Offer("a", 2, "a2");
  // Another trial's turn comes meanwhile.
  Offer("b", 1, "b1");
  ASSERT_TRUE(AwaitUploads(2));
  ASSERT_TRUE(keeper_->Flush("b", kLimit));
  EXPECT_THAT(Uploads(), ElementsAre("a1", "b1"));
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  EXPECT_THAT(Uploads(), ElementsAre("a1", "b1", "a2"));
}

TEST_F(CheckpointKeeperTest, FailedUploadLeavesTheOneBefore) {
  Start();
  Offer("a", 1, "one");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  error_ = absl::ResourceExhaustedError("no room");
  Offer("a", 2, "two");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  EXPECT_EQ(keeper_->Newest("a")->epoch(), 1u);
  EXPECT_THAT(Uploads(), ElementsAre("one", "two")) << "it would fail again";
}

TEST_F(CheckpointKeeperTest, CoordinatorThatWasAwayGetsItLater) {
  Start();
  SetHeld(true);
  error_ = absl::UnavailableError("away");
  Offer("a", 1, "one");
  ASSERT_TRUE(AwaitUploads(1));
  SetHeld(false);
  ASSERT_TRUE(AwaitUploads(2));
  // Until a newer one replaces it.
  SetHeld(true);
  Offer("a", 2, "two");
  SetHeld(false);
  while (Uploads().back() != "two") {
    ASSERT_TRUE(AwaitUploads(Uploads().size() + 1));
  }
  EXPECT_FALSE(keeper_->Newest("a").has_value());
}

TEST_F(CheckpointKeeperTest, WhatIsTooLargeOrNotWantedStays) {
  max_bytes_ = 3;
  Start();
  Offer("a", 1, "four");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  max_bytes_ = 0;
  Offer("a", 2, "2");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  max_bytes_ = 3;
  Offer("a", 3, "3");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  EXPECT_THAT(Uploads(), ElementsAre("3"));
}

TEST_F(CheckpointKeeperTest, ForgottenTrialHasNone) {
  Start();
  SetHeld(true);
  Offer("a", 1, "one");
  ASSERT_TRUE(AwaitUploads(1));
  Offer("a", 2, "two");
  keeper_->Forget("a");
  SetHeld(false);
  Offer("b", 1, "other");
  ASSERT_TRUE(keeper_->Flush("b", kLimit));
  EXPECT_THAT(Uploads(), ElementsAre("one", "other"));
  EXPECT_FALSE(keeper_->Newest("a").has_value());
}

TEST_F(CheckpointKeeperTest, WhatWaitsIsDroppedInTheEnd) {
  interval_ = absl::Hours(1);
  Start();
  Offer("a", 1, "one");
  ASSERT_TRUE(keeper_->Flush("a", kLimit));
  Offer("b", 1, "other");
  ASSERT_TRUE(keeper_->Flush("b", kLimit));
  Offer("b", 2, "another");
  keeper_ = nullptr;
  EXPECT_THAT(Uploads(), ElementsAre("one", "other"));
}

}  // namespace
}  // namespace kodistil
