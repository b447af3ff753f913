#include "student_trainer/coordinator_session.h"

#include <atomic>
#include <memory>
#include <string>

#include "base/server.h"
#include "base/testing.h"
#include "student_trainer/checkpoint_keeper.h"
#include "student_trainer/fake_coordinator.h"
#include "student_trainer/heartbeater.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

class CoordinatorSessionTest : public ::testing::Test {
 protected:
  void Start() {
    ASSERT_OK_AND_ASSIGN(server_, Server::Start(ServerOptions(), {&fake_}));
    options_.worker = "me";
    options_.build = "kodistil test";
    session_ = std::make_unique<CoordinatorSession>(
        NewChannel(server_->address()), options_, &stop_);
  }

  FakeCoordinator fake_;
  absl::Notification stop_;
  SessionOptions options_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<CoordinatorSession> session_;
  // Is offered nothing, so it uploads nothing.
  CheckpointKeeper keeper_{CheckpointKeeperOptions()};
};

v1::LeasedTrial TrialOf(uint32_t attempt) {
  v1::LeasedTrial trial;
  trial.set_trial_id("t");
  trial.set_attempt(attempt);
  return trial;
}

TEST_F(CoordinatorSessionTest, FirstCallRegistersOnce) {
  fake_.heartbeat_ms = 1234;
  Start();
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const v1::LeaseTrialResponse lease,
                         session_->LeaseTrial());
    EXPECT_EQ(lease.kind(), v1::LeaseTrialResponse::KIND_FINISHED);
  }
  ASSERT_EQ(fake_.registered().size(), 1);
  EXPECT_EQ(fake_.registered()[0].worker(), "me");
  EXPECT_EQ(fake_.registered()[0].build(), "kodistil test");
  EXPECT_EQ(session_->heartbeat_interval(), absl::Milliseconds(1234));
}

TEST_F(CoordinatorSessionTest, ForgottenWorkerRegistersAgain) {
  Start();
  ASSERT_OK(session_->LeaseTrial());
  fake_.ForgetWorkers();
  v1::HeartbeatRequest request;
  request.set_trial_id("t");
  request.set_attempt(3);
  ASSERT_OK_AND_ASSIGN(const bool go_on, session_->Heartbeat(request));
  EXPECT_TRUE(go_on);
  EXPECT_EQ(fake_.registered().size(), 2);
  const auto heartbeats = fake_.heartbeats();
  ASSERT_EQ(heartbeats.size(), 2);
  EXPECT_EQ(heartbeats[1].worker_id(), "worker 2");
  EXPECT_EQ(heartbeats[1].trial_id(), "t");
  EXPECT_EQ(heartbeats[1].attempt(), 3);
}

TEST_F(CoordinatorSessionTest, UnknownTrialIsNotFoundAfterOneMoreTry) {
  fake_.on_complete = [](const v1::CompleteRequest&) {
    return absl::NotFoundError("no trial t");
  };
  Start();
  EXPECT_THAT(session_->Complete(v1::CompleteRequest()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no trial t")));
  EXPECT_EQ(fake_.registered().size(), 2);
}

TEST_F(CoordinatorSessionTest, UnavailableIsRetriedAndOtherErrorsAreNot) {
  std::atomic<int> calls{0};
  fake_.on_lease = [&calls](const v1::LeaseTrialRequest&) {
    return ++calls < 3 ? absl::UnavailableError("draining") : absl::OkStatus();
  };
  fake_.on_complete = [&calls](const v1::CompleteRequest&) {
    ++calls;
    return absl::AbortedError("attempt 1 is over");
  };
  Start();
  ASSERT_OK(session_->LeaseTrial());
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(fake_.registered().size(), 3);
  EXPECT_THAT(
      session_->Complete(v1::CompleteRequest()),
      StatusIs(absl::StatusCode::kAborted, HasSubstr("attempt 1 is over")));
  EXPECT_EQ(calls, 4);
}

TEST_F(CoordinatorSessionTest, UnreachableForTooLongIsUnavailable) {
  options_.unreachable_limit = absl::Milliseconds(150);
  Start();
  server_->Shutdown();
  EXPECT_THAT(session_->LeaseTrial(),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("cannot reach the coordinator for 150ms")));
}

TEST_F(CoordinatorSessionTest, StopEndsTheWaitForACoordinator) {
  Start();
  server_->Shutdown();
  stop_.Notify();
  EXPECT_THAT(session_->LeaseTrial(),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("stopped")));
}

TEST_F(CoordinatorSessionTest, HeartbeatsCarryProgressAndEachEpochOnce) {
  // The first heartbeat with epochs gets no answer, so they come again.
  std::atomic<int> with_epochs{0};
  absl::Notification answered;
  fake_.heartbeat_ms = 10;
  fake_.on_heartbeat = [&](const v1::HeartbeatRequest& request) {
    if (request.finished_size() == 0) {
      if (with_epochs >= 2 && !answered.HasBeenNotified()) answered.Notify();
      return absl::OkStatus();
    }
    return ++with_epochs == 1 ? absl::InternalError("lost") : absl::OkStatus();
  };
  Start();
  {
    ASSERT_OK(session_->LeaseTrial());
    Heartbeater heartbeater(session_.get(), &keeper_, TrialOf(/*attempt=*/2));
    v1::EpochReport epoch;
    epoch.set_epoch(1);
    epoch.set_valid_accuracy(0.75);
    TrainProgress progress;
    progress.epoch = 1;
    progress.epoch_fraction = 1;
    progress.train_loss = 0.5;
    progress.finished = &epoch;
    heartbeater.Report(progress);
    answered.WaitForNotification();
    EXPECT_OK(heartbeater.status());
  }
  const auto heartbeats = fake_.heartbeats();
  int with = 0;
  for (const v1::HeartbeatRequest& heartbeat : heartbeats) {
    if (heartbeat.finished_size() == 0) continue;
    ++with;
    ASSERT_EQ(heartbeat.finished_size(), 1);
    EXPECT_EQ(heartbeat.finished(0).valid_accuracy(), 0.75);
  }
  EXPECT_EQ(with, 2);
  EXPECT_EQ(heartbeats.back().trial_id(), "t");
  EXPECT_EQ(heartbeats.back().attempt(), 2);
  EXPECT_EQ(heartbeats.back().train_loss(), 0.5);
}

TEST_F(CoordinatorSessionTest, LostLeaseEndsHeartbeatsWithAborted) {
  absl::Notification asked;
  fake_.heartbeat_ms = 10;
  fake_.on_heartbeat = [&](const v1::HeartbeatRequest&) {
    if (!asked.HasBeenNotified()) asked.Notify();
    return absl::AbortedError("attempt 2 is the current one");
  };
  Start();
  ASSERT_OK(session_->LeaseTrial());
  absl::Status status;
  {
    Heartbeater heartbeater(session_.get(), &keeper_, TrialOf(/*attempt=*/1));
    asked.WaitForNotification();
    while (status.ok()) status = heartbeater.status();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAborted,
                               HasSubstr("attempt 2 is the current one")));
  EXPECT_EQ(fake_.heartbeats().size(), 1);
}

}  // namespace
}  // namespace kodistil
