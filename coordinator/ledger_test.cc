#include "coordinator/ledger.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using v1::Trial;

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = JoinPath(NewTestDir(), "ledger");
    Reopen();
  }

  void Reopen() {
    ledger_ = nullptr;
    auto opened = Ledger::Open(path_, options_, now_);
    ASSERT_OK(opened);
    ledger_ = *std::move(opened);
  }

  void Submit(const std::vector<std::string>& ids) {
    std::vector<Trial> trials;
    for (const std::string& id : ids) {
      trials.emplace_back();
      trials.back().set_trial_id(id);
    }
    ASSERT_OK(ledger_->Submit(trials));
  }

  Trial Lease(const std::string& worker = "w") {
    auto leased = ledger_->Lease(worker, now_);
    EXPECT_OK(leased);
    EXPECT_EQ(leased->size(), 1u);
    return leased->front();
  }

  static v1::CompleteRequest CompleteOf(const Trial& trial, int correct) {
    v1::CompleteRequest request;
    request.set_trial_id(trial.trial_id());
    request.set_attempt(trial.attempts());
    request.mutable_result()->set_correct(correct);
    return request;
  }

  static v1::FailRequest FailOf(const Trial& trial, bool retryable) {
    v1::FailRequest request;
    request.set_trial_id(trial.trial_id());
    request.set_attempt(trial.attempts());
    request.set_reason("broken");
    request.set_retryable(retryable);
    return request;
  }

  static v1::HeartbeatRequest HeartbeatOf(const Trial& trial) {
    v1::HeartbeatRequest request;
    request.set_trial_id(trial.trial_id());
    request.set_attempt(trial.attempts());
    return request;
  }

  LedgerOptions options_;
  absl::Time now_ = absl::UnixEpoch();
  std::string path_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, LeasesInTheOrderSubmitted) {
  Submit({"b", "a"});
  EXPECT_EQ(Lease().trial_id(), "b");
  EXPECT_EQ(Lease().trial_id(), "a");
  ASSERT_OK_AND_ASSIGN(const auto none, ledger_->Lease("w", now_));
  EXPECT_THAT(none, ::testing::IsEmpty());
}

TEST_F(LedgerTest, ResultIsCommittedOnceAndSurvives) {
  Submit({"a"});
  const Trial trial = Lease();
  ASSERT_OK(ledger_->Complete(CompleteOf(trial, 5)));
  EXPECT_OK(ledger_->Complete(CompleteOf(trial, 5)));
  EXPECT_TRUE(ledger_->Finished());
  Reopen();
  ASSERT_OK_AND_ASSIGN(const Trial found, ledger_->Find("a"));
  EXPECT_EQ(found.state(), Trial::STATE_DONE);
  EXPECT_EQ(found.result().correct(), 5u);
}

TEST_F(LedgerTest, LateLoserIsAborted) {
  Submit({"a"});
  const Trial late = Lease("slow");
  now_ += options_.lease;
  ASSERT_OK_AND_ASSIGN(const auto expired, ledger_->ExpireLeases(now_));
  EXPECT_THAT(expired, ::testing::ElementsAre("slow"));
  const Trial winner = Lease("fast");
  EXPECT_EQ(winner.attempts(), late.attempts() + 1);
  EXPECT_THAT(ledger_->Complete(CompleteOf(late, 1)),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("lost")));
  ASSERT_OK(ledger_->Complete(CompleteOf(winner, 2)));
  EXPECT_THAT(ledger_->Complete(CompleteOf(late, 1)),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("lost")));
  EXPECT_EQ(ledger_->Find("a")->result().correct(), 2u);
}

TEST_F(LedgerTest, HeartbeatKeepsTheLease) {
  Submit({"a"});
  const Trial trial = Lease();
  now_ += options_.lease - absl::Seconds(1);
  ASSERT_OK(ledger_->Heartbeat(HeartbeatOf(trial), now_));
  now_ += options_.lease - absl::Seconds(1);
  ASSERT_OK_AND_ASSIGN(const auto expired, ledger_->ExpireLeases(now_));
  EXPECT_THAT(expired, ::testing::IsEmpty());
}

TEST_F(LedgerTest, RenewedLeasesDoNotExpire) {
  Submit({"a"});
  Lease();
  now_ += options_.lease;
  ledger_->RenewLeases(now_);
  ASSERT_OK_AND_ASSIGN(const auto expired, ledger_->ExpireLeases(now_));
  EXPECT_THAT(expired, ::testing::IsEmpty());
}

TEST_F(LedgerTest, LossesWithProgressBetweenDoNotEndATrial) {
  Submit({"a"});
  for (int i = 0; i < 2 * options_.max_lost; ++i) {
    v1::HeartbeatRequest beat = HeartbeatOf(Lease("w"));
    beat.add_finished()->set_epoch(i + 1);
    ASSERT_OK(ledger_->Heartbeat(beat, now_));
    ASSERT_OK(ledger_->ReleaseWorker("w", {"killed"}));
  }
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_PENDING);
}

TEST_F(LedgerTest, TheSameEpochAgainIsNoProgress) {
  // A trial that kills its worker in epoch 2, on machines without checkpoints.
  Submit({"a"});
  for (int i = 0; i < options_.max_lost; ++i) {
    EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_PENDING);
    v1::HeartbeatRequest beat = HeartbeatOf(Lease("w"));
    beat.add_finished()->set_epoch(1);
    ASSERT_OK(ledger_->Heartbeat(beat, now_));
    ASSERT_OK(ledger_->ReleaseWorker("w", {"w was killed by signal 6"}));
  }
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_FAILED);
  EXPECT_EQ(ledger_->Find("a")->reason(),
            "gave up after 5 lost workers; the last: w was killed by signal 6");
}

TEST_F(LedgerTest, HeartbeatOfUnknownTrialIsNotFound) {
  v1::HeartbeatRequest request;
  request.set_trial_id("zzz");
  EXPECT_THAT(ledger_->Heartbeat(request, now_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("zzz")));
}

TEST_F(LedgerTest, ThreeFailuresEndATrial) {
  Submit({"a"});
  for (int i = 0; i < options_.max_failures; ++i) {
    EXPECT_FALSE(ledger_->Finished());
    ASSERT_OK(ledger_->Fail(FailOf(Lease(), /*retryable=*/true)));
  }
  EXPECT_TRUE(ledger_->Finished());
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_FAILED);
  EXPECT_EQ(ledger_->Find("a")->reason(),
            "gave up after 3 failed attempts; the last: worker w: broken");
}

TEST_F(LedgerTest, HopelessFailureIsNotRetried) {
  Submit({"a"});
  ASSERT_OK(ledger_->Fail(FailOf(Lease(), /*retryable=*/false)));
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_FAILED);
}

TEST_F(LedgerTest, StoppedWorkerCountsAgainstNoLimit) {
  Submit({"a"});
  for (int i = 0; i < 10; ++i) {
    v1::FailRequest stopped = FailOf(Lease(), /*retryable=*/true);
    stopped.set_stopped(true);
    ASSERT_OK(ledger_->Fail(stopped));
  }
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_PENDING);
}

TEST_F(LedgerTest, FiveLostWorkersEndATrial) {
  Submit({"a"});
  for (int i = 0; i < options_.max_lost; ++i) {
    Lease("w");
    ASSERT_OK(ledger_->ReleaseWorker("w", {"killed"}));
  }
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_FAILED);
  EXPECT_EQ(ledger_->Find("a")->lost(), 5u);
}

// Pending trials of a grid: `pairs` of temperatures of each shape.
std::vector<Trial> Grid(const std::vector<uint32_t>& hidden, int pairs) {
  std::vector<Trial> trials;
  for (int pair = 0; pair < pairs; ++pair) {
    for (const uint32_t dim : hidden) {
      trials.emplace_back();
      trials.back().set_trial_id(absl::StrCat("h", dim, "t", pair));
      v1::StudentConfig& config = *trials.back().mutable_config();
      config.set_engine("fast");
      config.set_hidden_dim(dim);
      config.set_temperature(pair + 1);
    }
  }
  return trials;
}

std::vector<std::string> IdsOf(
    const absl::StatusOr<std::vector<Trial>>& trials) {
  std::vector<std::string> ids;
  EXPECT_OK(trials);
  for (const Trial& trial : *trials) ids.push_back(trial.trial_id());
  return ids;
}

TEST_F(LedgerTest, PackTakesTrialsThatFitWithTheFirst) {
  ASSERT_OK(ledger_->Submit(Grid({16, 64}, 3)));
  const LeaseLimits two = {/*most=*/2, /*workers=*/1};
  const auto leased = ledger_->Lease("w", now_, two);
  EXPECT_EQ(IdsOf(leased), std::vector<std::string>({"h16t0", "h16t1"}));
  for (const Trial& trial : *leased) {
    EXPECT_EQ(trial.state(), Trial::STATE_RUNNING);
    EXPECT_EQ(trial.attempts(), 1u);
    EXPECT_EQ(trial.worker_id(), "w");
  }
  const LeaseLimits many = {/*most=*/9, /*workers=*/1};
  EXPECT_EQ(IdsOf(ledger_->Lease("w", now_, many)),
            std::vector<std::string>({"h64t0", "h64t1", "h64t2"}));
  EXPECT_EQ(IdsOf(ledger_->Lease("w", now_, many)),
            std::vector<std::string>({"h16t2"}));
  EXPECT_TRUE(IdsOf(ledger_->Lease("w", now_, many)).empty());
}

TEST_F(LedgerTest, TrialsOfAPackEndEachOnItsOwn) {
  ASSERT_OK(ledger_->Submit(Grid({16}, 3)));
  const auto leased = *ledger_->Lease("w", now_, {/*most=*/3, /*workers=*/1});
  ASSERT_EQ(leased.size(), 3u);
  now_ += options_.lease / 2;
  ASSERT_OK(ledger_->Heartbeat(HeartbeatOf(leased[0]), now_));
  ASSERT_OK(ledger_->Complete(CompleteOf(leased[1], 1)));
  now_ += options_.lease / 2;
  ASSERT_OK_AND_ASSIGN(const auto expired, ledger_->ExpireLeases(now_));
  EXPECT_EQ(expired.size(), 1u);
  EXPECT_EQ(ledger_->Find("h16t0")->state(), Trial::STATE_RUNNING);
  EXPECT_EQ(ledger_->Find("h16t1")->state(), Trial::STATE_DONE);
  EXPECT_EQ(ledger_->Find("h16t2")->state(), Trial::STATE_PENDING);
}

TEST_F(LedgerTest, PackLeavesOtherWorkersTheirPart) {
  ASSERT_OK(ledger_->Submit(Grid({16}, 7)));
  std::vector<size_t> sizes;
  for (int i = 0; i < 6; ++i) {
    sizes.push_back(
        IdsOf(ledger_->Lease("w", now_, {/*most=*/9, /*workers=*/3})).size());
  }
  // Of 7, 5, 4, 3, 2 and 1 pending trials.
  EXPECT_THAT(sizes, ::testing::ElementsAre(2, 1, 1, 1, 1, 1));
}

TEST_F(LedgerTest, TrialThatWasLostIsLeasedAlone) {
  ASSERT_OK(ledger_->Submit(Grid({16}, 3)));
  const LeaseLimits limits = {/*most=*/3, /*workers=*/1};
  ASSERT_EQ(IdsOf(ledger_->Lease("w", now_, limits)).size(), 3u);
  ASSERT_OK(ledger_->ReleaseWorker("w", {"killed"}));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(IdsOf(ledger_->Lease("w", now_, limits)).size(), 1u);
  }
  // Not so when the coordinator was at fault.
  ASSERT_OK(ledger_->Submit(Grid({64}, 2)));
  ASSERT_EQ(IdsOf(ledger_->Lease("w", now_, limits)).size(), 2u);
  ASSERT_OK(ledger_->ReleaseWorker("w", {"restarted", "", /*count=*/false}));
  EXPECT_EQ(IdsOf(ledger_->Lease("w", now_, limits)).size(), 2u);
}

TEST_F(LedgerTest, RunningTrialKeepsItsAttemptAcrossARestart) {
  Submit({"a"});
  const Trial trial = Lease();
  Reopen();
  Submit({"a"});
  ASSERT_OK(ledger_->Heartbeat(HeartbeatOf(trial), now_));
  EXPECT_OK(ledger_->Complete(CompleteOf(trial, 3)));
}

TEST_F(LedgerTest, AskingAgainRunsOnlyWhatIsMissing) {
  Submit({"a", "b"});
  ASSERT_OK(ledger_->Complete(CompleteOf(Lease(), 1)));
  ASSERT_OK(ledger_->Fail(FailOf(Lease(), /*retryable=*/false)));
  std::vector<Trial> trials(3);
  trials[0].set_trial_id("a");
  trials[1].set_trial_id("b");
  trials[2].set_trial_id("c");
  ASSERT_OK_AND_ASSIGN(const auto submitted, ledger_->Submit(trials));
  EXPECT_EQ(submitted.done, 1);
  EXPECT_EQ(submitted.retried, 1);
  EXPECT_EQ(submitted.added, 1);
  EXPECT_EQ(Lease().trial_id(), "b");
  EXPECT_EQ(Lease().trial_id(), "c");
}

TEST_F(LedgerTest, EpochsReportedAgainReplaceTheEarlierReport) {
  Submit({"a"});
  const Trial trial = Lease();
  v1::HeartbeatRequest beat = HeartbeatOf(trial);
  for (const uint32_t epoch : {1, 2}) beat.add_finished()->set_epoch(epoch);
  ASSERT_OK(ledger_->Heartbeat(beat, now_));
  beat.clear_finished();
  beat.add_finished()->set_epoch(2);
  ASSERT_OK(ledger_->Heartbeat(beat, now_));
  EXPECT_EQ(ledger_->Find("a")->history_size(), 2);
}

TEST_F(LedgerTest, CancelledTrialIsNotLeased) {
  Submit({"a"});
  ASSERT_OK(ledger_->Cancel("a"));
  ASSERT_OK_AND_ASSIGN(const auto none, ledger_->Lease("w", now_));
  EXPECT_THAT(none, ::testing::IsEmpty());
  EXPECT_TRUE(ledger_->Finished());
}

TEST_F(LedgerTest, AmbiguousPrefixNamesTheTrials) {
  Submit({"ab", "ac"});
  EXPECT_THAT(ledger_->Find("a"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ac")));
}

TEST_F(LedgerTest, NumbersThatTheDiskMayHaveForgottenAreNotGivenAgain) {
  Submit({"a", "b"});
  EXPECT_EQ(Lease().attempts(), 1u);  // "a"
  Reopen();
  Submit({"a", "b"});
  ASSERT_OK(ledger_->ReleaseWorker("w", {"gone"}));
  // Of both the last start may have given one number more.
  Trial trial = Lease();
  EXPECT_EQ(trial.trial_id(), "a");
  EXPECT_EQ(trial.attempts(), 3u);
  EXPECT_EQ(trial.leases(), 2u);
  trial = Lease();
  EXPECT_EQ(trial.trial_id(), "b");
  EXPECT_EQ(trial.attempts(), 2u);
  EXPECT_EQ(trial.leases(), 1u);
  // Within a start they follow each other.
  ASSERT_OK(ledger_->Fail(FailOf(trial, /*retryable=*/true)));
  EXPECT_EQ(Lease().attempts(), 3u);
}

TEST_F(LedgerTest, LookingDoesNotCountAsAStart) {
  Submit({"a"});
  Reopen();
  Reopen();
  Reopen();
  Submit({"a"});
  EXPECT_EQ(Lease().attempts(), 2u);
}

TEST_F(LedgerTest, AttemptsAreKeptWithWorkerTimesAndReason) {
  Submit({"a"});
  Lease("first");
  now_ += options_.lease;
  ASSERT_OK(ledger_->ExpireLeases(now_));
  v1::HeartbeatRequest beat = HeartbeatOf(Lease("second"));
  beat.add_finished()->set_epoch(2);
  ASSERT_OK(ledger_->Heartbeat(beat, now_));
  v1::FailRequest fail = FailOf(*ledger_->Find("a"), /*retryable=*/true);
  fail.set_log_tail("E0101 something\n");
  ASSERT_OK(ledger_->Fail(fail, now_ + absl::Seconds(3)));
  ASSERT_OK(ledger_->Complete(CompleteOf(Lease("third"), 1), now_));
  Reopen();
  const auto history = ledger_->Find("a")->attempt_history();
  ASSERT_EQ(history.size(), 3);
  EXPECT_EQ(history[0].number(), 1u);
  EXPECT_EQ(history[0].worker_id(), "first");
  EXPECT_EQ(history[0].outcome(), v1::TrialAttempt::OUTCOME_LOST);
  EXPECT_EQ(history[0].begin_unix_ms(), 0);
  EXPECT_EQ(history[0].end_unix_ms(), 30000);
  EXPECT_THAT(history[0].reason(), HasSubstr("no heartbeat for 30s"));
  EXPECT_EQ(history[1].worker_id(), "second");
  EXPECT_EQ(history[1].outcome(), v1::TrialAttempt::OUTCOME_FAILED);
  EXPECT_EQ(history[1].end_unix_ms(), 33000);
  EXPECT_EQ(history[1].epochs(), 2u);
  EXPECT_EQ(history[1].reason(), "worker second: broken");
  EXPECT_EQ(history[1].log_tail(), "E0101 something\n");
  EXPECT_EQ(history[2].outcome(), v1::TrialAttempt::OUTCOME_DONE);
}

TEST_F(LedgerTest, TheHistoryOfAttemptsIsBounded) {
  Submit({"a"});
  for (int i = 0; i < 3 * kAttemptsKept; ++i) {
    v1::FailRequest stopped = FailOf(Lease(), /*retryable=*/true);
    stopped.set_stopped(true);
    stopped.set_reason(std::string(5000, 'r'));
    stopped.set_log_tail(std::string(50000, 'l'));
    ASSERT_OK(ledger_->Fail(stopped));
  }
  const Trial trial = *ledger_->Find("a");
  EXPECT_EQ(trial.leases(), 3u * kAttemptsKept);
  ASSERT_EQ(trial.attempt_history_size(), kAttemptsKept);
  EXPECT_EQ(trial.attempt_history(kAttemptsKept - 1).number(),
            3u * kAttemptsKept);
  EXPECT_LT(trial.ByteSizeLong(), 100000u);
}

TEST_F(LedgerTest, TheSameFailureAgainIsOkAndCountsOnce) {
  Submit({"a"});
  const v1::FailRequest fail = FailOf(Lease(), /*retryable=*/true);
  ASSERT_OK(ledger_->Fail(fail));
  EXPECT_OK(ledger_->Fail(fail));
  EXPECT_EQ(ledger_->Find("a")->failures(), 1u);
  const Trial second = Lease();
  EXPECT_THAT(ledger_->Fail(fail),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("attempt 1")));
  EXPECT_OK(ledger_->Complete(CompleteOf(second, 1)));
}

TEST_F(LedgerTest, CheckpointsOfUnfinishedTrialsAreNamed) {
  Submit({"a", "b"});
  const Trial a = Lease();
  const Trial b = Lease();
  v1::HeartbeatRequest beat = HeartbeatOf(a);
  beat.mutable_checkpoint()->set_digest("a1");
  ASSERT_OK(ledger_->Heartbeat(beat, now_));
  beat.mutable_checkpoint()->set_digest("a2");
  beat.mutable_checkpoint()->set_epoch(2);
  ASSERT_OK(ledger_->Heartbeat(beat, now_));
  v1::FailRequest stopped = FailOf(b, /*retryable=*/true);
  stopped.set_stopped(true);
  stopped.mutable_checkpoint()->set_digest("b1");
  ASSERT_OK(ledger_->Fail(stopped));
  EXPECT_THAT(*ledger_->Checkpoints(), ::testing::ElementsAre("a2", "b1"));
  Reopen();
  EXPECT_THAT(*ledger_->Checkpoints(), ::testing::ElementsAre("a2", "b1"));
  Submit({"a", "b"});
  const Trial again = Lease();
  EXPECT_EQ(again.trial_id(), "b");
  EXPECT_EQ(again.checkpoint().digest(), "b1");
  ASSERT_OK(ledger_->Complete(CompleteOf(a, 1)));
  EXPECT_THAT(*ledger_->Checkpoints(), ::testing::ElementsAre("b1"));
  ASSERT_OK(ledger_->Fail(FailOf(again, /*retryable=*/false)));
  EXPECT_THAT(*ledger_->Checkpoints(), ::testing::IsEmpty());
}

TEST_F(LedgerTest, ChangesAreToldOnceAndCounted) {
  Submit({"a", "b"});
  uint64_t version = 0;
  EXPECT_EQ(ledger_->ChangedSince(&version).size(), 2u);
  EXPECT_TRUE(ledger_->ChangedSince(&version).empty());
  const Trial a = Lease();
  ASSERT_OK(ledger_->Complete(CompleteOf(a, 1)));
  Lease();
  const std::vector<Trial> changed = ledger_->ChangedSince(&version);
  ASSERT_EQ(changed.size(), 2u);
  EXPECT_EQ(changed[0].state(), Trial::STATE_DONE);
  EXPECT_EQ(changed[1].state(), Trial::STATE_RUNNING);
  Ledger::Counts counts = ledger_->counts();
  EXPECT_EQ(counts.total, 2);
  EXPECT_EQ(counts.done, 1);
  EXPECT_EQ(counts.running, 1);
  EXPECT_FALSE(ledger_->WaitUntilFinished(absl::ZeroDuration()));
  Submit({"b", "c", "c"});
  counts = ledger_->counts();
  EXPECT_EQ(counts.total, 2);
  EXPECT_EQ(counts.running, 1);
  EXPECT_EQ(counts.pending, 1);
  EXPECT_EQ(counts.done, 0);
}

TEST_F(LedgerTest, ManyAtOnceAreCommittedOnceEach) {
  constexpr int kThreads = 8;
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(absl::StrCat("t", i));
  Submit(ids);
  std::atomic<int> committed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (;;) {
        const auto leased = ledger_->Lease(absl::StrCat("w", i), now_);
        ASSERT_OK(leased);
        if (leased->empty()) return;
        ASSERT_OK(ledger_->Complete(CompleteOf(leased->front(), i)));
        ++committed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(committed, 200);
  Reopen();
  Submit(ids);
  EXPECT_TRUE(ledger_->Finished());
  EXPECT_EQ(ledger_->counts().done, 200);
}

// The ledger's database, changed behind its back.
class RawLedger {
 public:
  explicit RawLedger(const std::string& path) : log_(*LedgerLog::Open(path)) {}
  void Put(const std::string& key, const std::string& value) {
    EXPECT_OK(log_->Put(key, value));
    EXPECT_OK(log_->Sync());
  }

 private:
  const std::unique_ptr<LedgerLog> log_;
};

TEST_F(LedgerTest, FormatVersion1IsReadAndContinued) {
  ledger_ = nullptr;
  {
    RawLedger raw(path_);
    raw.Put("format", "1");
    Trial trial;
    trial.set_trial_id("a");
    trial.set_state(Trial::STATE_PENDING);
    trial.set_attempts(2);
    raw.Put("trial/a", trial.SerializeAsString());
    trial.set_trial_id("b");
    trial.set_state(Trial::STATE_DONE);
    raw.Put("trial/b", trial.SerializeAsString());
  }
  Reopen();
  Submit({"a", "b"});
  EXPECT_TRUE(ledger_->IsDone("b"));
  const Trial trial = Lease();
  EXPECT_GT(trial.attempts(), 2u);
  EXPECT_EQ(trial.leases(), 3u);
  ASSERT_OK(ledger_->Complete(CompleteOf(trial, 1)));
  Reopen();
  EXPECT_TRUE(ledger_->IsDone("a"));
}

TEST_F(LedgerTest, NewerFormatIsRefusedByName) {
  ledger_ = nullptr;
  RawLedger(path_).Put("format", "3");
  EXPECT_THAT(Ledger::Open(path_, options_, now_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("found ledger format version 3")));
}

// RocksDB would begin a new one and delete what is left of this.
TEST_F(LedgerTest, LedgerWithoutItsCurrentFileIsNotBegunAnew) {
  Submit({"a"});
  ledger_ = nullptr;
  const std::string current = JoinPath(path_, "CURRENT");
  ASSERT_OK_AND_ASSIGN(const std::string content, ReadFile(current));
  ASSERT_OK(RemoveAll(current));
  EXPECT_THAT(
      Ledger::Open(path_, options_, now_),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no file CURRENT")));
  ASSERT_OK(WriteFileAtomically(current, content));
  Reopen();
  EXPECT_OK(ledger_->Find("a"));
}

TEST_F(LedgerTest, DamagedRecordIsDataLossThatNamesIt) {
  ledger_ = nullptr;
  RawLedger(path_).Put("trial/a", "\xFF");
  EXPECT_THAT(
      Ledger::Open(path_, options_, now_),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("trial/a is damaged")));
}

}  // namespace
}  // namespace kodistil
