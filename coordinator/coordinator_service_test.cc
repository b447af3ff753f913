#include "coordinator/coordinator_service.h"

#include "absl/time/clock.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using Stub = v1::CoordinatorService::Stub;

// A served coordinator over a ledger in a new folder.
class CoordinatorServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = NewTestDir();
    auto ledger = Ledger::Open(JoinPath(folder, "ledger"), {}, absl::Now());
    ASSERT_OK(ledger);
    ledger_ = *std::move(ledger);
    auto artifacts = ArtifactStore::Open(JoinPath(folder, "artifacts"));
    ASSERT_OK(artifacts);
    artifacts_ = std::make_unique<ArtifactStore>(*std::move(artifacts));
    CoordinatorServiceOptions options;
    options.max_watches = 1;
    service_ = std::make_unique<CoordinatorServiceImpl>(options, ledger_.get(),
                                                        artifacts_.get());
    auto server = Server::Start(ServerOptions(), {service_.get()});
    ASSERT_OK(server);
    server_ = *std::move(server);
    stub_ = v1::CoordinatorService::NewStub(NewChannel(server_->address()));
    v1::Trial trial;
    trial.set_trial_id("abc");
    ASSERT_OK(ledger_->Submit({trial}));
  }

  void TearDown() override {
    service_->CloseWatches();
    server_->Shutdown();
  }

  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    return FromGrpcStatus((stub_.get()->*method)(&context, request, response));
  }

  void Register() {
    v1::RegisterRequest request;
    request.set_worker("w");
    v1::RegisterResponse response;
    ASSERT_OK(Call(&Stub::Register, request, &response));
    EXPECT_EQ(response.worker_id(), "w");
    EXPECT_GT(response.lease_ms(), 2 * response.heartbeat_ms());
  }

  v1::LeaseTrialResponse Lease() {
    v1::LeaseTrialRequest request;
    request.set_worker_id("w");
    v1::LeaseTrialResponse response;
    EXPECT_OK(Call(&Stub::LeaseTrial, request, &response));
    return response;
  }

  absl::Status Complete(uint32_t attempt, const std::string& digest,
                        const std::string& file = "config.json") {
    v1::CompleteRequest request;
    request.set_worker_id("w");
    request.set_trial_id("abc");
    request.set_attempt(attempt);
    request.mutable_result()->set_correct(1);
    request.mutable_result()->set_total(2);
    request.mutable_result()->set_parameters(3);
    (*request.mutable_result()->mutable_files())[file] = digest;
    v1::CompleteResponse response;
    return Call(&Stub::Complete, request, &response);
  }

  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<CoordinatorServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(CoordinatorServiceTest, UnregisteredWorkerIsNotFound) {
  v1::LeaseTrialRequest request;
  request.set_worker_id("w");
  v1::LeaseTrialResponse response;
  EXPECT_THAT(Call(&Stub::LeaseTrial, request, &response),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("Register")));
}

TEST_F(CoordinatorServiceTest, NamesThatLeaveTheirFolderAreInvalid) {
  service_->StartLeasing();
  Register();
  const v1::LeaseTrialResponse lease = Lease();
  ASSERT_OK_AND_ASSIGN(const std::string digest, artifacts_->Put("x"));
  for (const char* file :
       {"../config.json", "/etc/passwd", "..", "a/b", ".hidden", ""}) {
    EXPECT_THAT(
        Complete(lease.attempt(), digest, file),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("result: file")))
        << file;
  }
  EXPECT_OK(Complete(lease.attempt(), digest));
  v1::SubmitSweepRequest request;
  v1::SubmitSweepResponse response;
  request.add_trials()->set_trial_id("../../x");
  EXPECT_THAT(Call(&Stub::SubmitSweep, request, &response),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("trial id '../../x'")));
  request.mutable_trials(0)->set_trial_id("x");
  EXPECT_OK(Call(&Stub::SubmitSweep, request, &response));
}

TEST_F(CoordinatorServiceTest, WatchesBeyondTheLimitAreUnavailable) {
  grpc::ClientContext first_context;
  const auto first = stub_->WatchSweep(&first_context, v1::WatchSweepRequest());
  v1::WatchSweepResponse response;
  ASSERT_TRUE(first->Read(&response));
  grpc::ClientContext context;
  const auto second = stub_->WatchSweep(&context, v1::WatchSweepRequest());
  EXPECT_FALSE(second->Read(&response));
  const absl::Status status = FromGrpcCall(second->Finish(), context);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("1 calls under way")));
  EXPECT_TRUE(GetPushback(status).has_value());
  Register();
  first_context.TryCancel();
}

TEST_F(CoordinatorServiceTest, WorkersWaitUntilLeasingStarts) {
  Register();
  EXPECT_EQ(Lease().kind(), v1::LeaseTrialResponse::KIND_WAIT);
  service_->StartLeasing();
  const v1::LeaseTrialResponse leased = Lease();
  EXPECT_EQ(leased.kind(), v1::LeaseTrialResponse::KIND_TRIAL);
  EXPECT_EQ(leased.attempt(), 1u);
  EXPECT_EQ(Lease().kind(), v1::LeaseTrialResponse::KIND_WAIT);
  service_->StopLeasing();
  EXPECT_EQ(Lease().kind(), v1::LeaseTrialResponse::KIND_WAIT)
      << "the sweep is not over";
  ASSERT_OK(ledger_->Cancel("abc"));
  service_->StopLeasing();
  EXPECT_EQ(Lease().kind(), v1::LeaseTrialResponse::KIND_FINISHED);
}

TEST_F(CoordinatorServiceTest, WorkerGetsAsManyTrialsAsItAsksForAndItsPart) {
  std::vector<v1::Trial> trials;
  for (int i = 0; i < 6; ++i) {
    trials.emplace_back();
    trials.back().set_trial_id(std::string(1, 'a' + i));
    trials.back().mutable_config()->set_engine("fast");
    trials.back().mutable_config()->set_temperature(i + 1);
  }
  ASSERT_OK(ledger_->Submit(trials));
  service_->StartLeasing();
  Register();
  v1::LeaseTrialRequest request;
  request.set_worker_id("w");
  request.set_most_trials(2);
  v1::LeaseTrialResponse response;
  ASSERT_OK(Call(&Stub::LeaseTrial, request, &response));
  EXPECT_EQ(response.trial_id(), "a");
  ASSERT_EQ(response.further_size(), 1);
  EXPECT_EQ(response.further(0).trial_id(), "b");
  EXPECT_EQ(response.further(0).attempt(), 1u);
  EXPECT_EQ(response.further(0).config().temperature(), 2);
  // A second worker, which is idle: four trials are left for two.
  v1::RegisterRequest other;
  other.set_worker("x");
  v1::RegisterResponse registered;
  ASSERT_OK(Call(&Stub::Register, other, &registered));
  request.set_most_trials(100);
  ASSERT_OK(Call(&Stub::LeaseTrial, request, &response));
  EXPECT_EQ(response.further_size(), 1);
  // A worker that knows nothing of packs gets one.
  EXPECT_EQ(Lease().further_size(), 0);
}

TEST_F(CoordinatorServiceTest, ResultWithoutItsFilesIsRefused) {
  Register();
  service_->StartLeasing();
  Lease();
  EXPECT_THAT(
      Complete(1, std::string(64, 'a')),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("uploaded")));
  ASSERT_OK_AND_ASSIGN(const std::string digest, artifacts_->Put("{}"));
  EXPECT_THAT(Complete(2, digest),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("attempt 2")));
  EXPECT_OK(Complete(1, digest));
  EXPECT_OK(Complete(1, digest));
}

TEST_F(CoordinatorServiceTest, HeartbeatOfALostLeaseSaysStop) {
  Register();
  service_->StartLeasing();
  Lease();
  v1::HeartbeatRequest request;
  request.set_worker_id("w");
  request.set_trial_id("abc");
  request.set_attempt(1);
  v1::HeartbeatResponse response;
  ASSERT_OK(Call(&Stub::Heartbeat, request, &response));
  EXPECT_TRUE(response.go_on());
  ASSERT_OK(ledger_->ReleaseWorker("w", {"gone"}));
  ASSERT_OK(Call(&Stub::Heartbeat, request, &response));
  EXPECT_FALSE(response.go_on());
}

TEST_F(CoordinatorServiceTest, WatchEndsWithTheSweep) {
  Register();
  service_->StartLeasing();
  grpc::ClientContext context;
  const auto reader = stub_->WatchSweep(&context, v1::WatchSweepRequest());
  v1::WatchSweepResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.trials(0).state(), v1::Trial::STATE_PENDING);
  Lease();
  ASSERT_OK_AND_ASSIGN(const std::string digest, artifacts_->Put("{}"));
  ASSERT_OK(Complete(1, digest));
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(response.trials(0).state(), v1::Trial::STATE_DONE);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(CoordinatorServiceTest, ExplainSaysWhatATrialWaitsFor) {
  v1::ExplainRequest request;
  request.set_trial_id("ab");
  v1::ExplainResponse response;
  ASSERT_OK(Call(&Stub::Explain, request, &response));
  EXPECT_THAT(response.lines(), ::testing::Contains(HasSubstr("waits")));
  request.set_trial_id("zz");
  EXPECT_THAT(Call(&Stub::Explain, request, &response),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("zz")));
}

}  // namespace
}  // namespace kodistil
