#include "coordinator/ledger.h"

#include <string>
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
    ASSERT_OK(ledger_->ReleaseWorker("w", /*count=*/true, "killed"));
  }
  EXPECT_EQ(ledger_->Find("a")->state(), Trial::STATE_PENDING);
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
  EXPECT_EQ(ledger_->Find("a")->reason(), "broken");
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
    ASSERT_OK(ledger_->ReleaseWorker("w", /*count=*/true, "killed"));
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
  ASSERT_OK(ledger_->ReleaseWorker("w", /*count=*/true, "killed"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(IdsOf(ledger_->Lease("w", now_, limits)).size(), 1u);
  }
  // Not so when the coordinator was at fault.
  ASSERT_OK(ledger_->Submit(Grid({64}, 2)));
  ASSERT_EQ(IdsOf(ledger_->Lease("w", now_, limits)).size(), 2u);
  ASSERT_OK(ledger_->ReleaseWorker("w", /*count=*/false, "restarted"));
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

}  // namespace
}  // namespace kodistil
