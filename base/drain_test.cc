// The orderly end of a server: what its clients see.

#include <grpcpp/health_check_service_interface.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/health_watch.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {
namespace {

// Far longer than any test lasts.
constexpr absl::Duration kForever = absl::Minutes(30);

// Get answers with one chunk, for the digest "slow" after `release`.
class TestArtifacts : public v1::ArtifactService::Service {
 public:
  grpc::Status Get(
      grpc::ServerContext* context, const v1::GetArtifactRequest* request,
      grpc::ServerWriter<v1::GetArtifactResponse>* writer) override {
    if (request->digest() == "slow") {
      entered.Notify();
      release.WaitForNotification();
    }
    v1::GetArtifactResponse response;
    response.set_chunk("x");
    writer->Write(response);
    return grpc::Status::OK;
  }

  absl::Notification entered;
  absl::Notification release;
};

class DrainTest : public ::testing::Test {
 protected:
  void Start(const ServerOptions& options) {
    ASSERT_OK_AND_ASSIGN(server_, Server::Start(options, {&service_}));
    channel_ = NewChannel(server_->address());
  }

  absl::Status Get(const std::string& digest) {
    return GetOn(channel_, digest);
  }

  static absl::Status GetOn(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& digest) {
    const auto stub = v1::ArtifactService::NewStub(channel);
    grpc::ClientContext context;
    v1::GetArtifactRequest request;
    request.set_digest(digest);
    const auto reader = stub->Get(&context, request);
    v1::GetArtifactResponse response;
    while (reader->Read(&response)) {
    }
    return FromGrpcCall(reader->Finish(), context);
  }

  TestArtifacts service_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(DrainTest, OpenHealthCheckDoesNotHoldUpShutdown) {
  ServerOptions options;
  options.drain = kForever;
  Start(options);
  HealthWatch watch(channel_);
  EXPECT_EQ(watch.Next(), "SERVING");
  server_->Shutdown();
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  EXPECT_EQ(watch.Next(), "ended");
}

// The control: gRPC alone waits for the open health check until the limit.
TEST_F(DrainTest, OpenHealthCheckHoldsUpGrpcItself) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service_);
  const auto server = builder.BuildAndStart();
  HealthWatch watch(NewChannel(absl::StrCat("127.0.0.1:", port)));
  EXPECT_EQ(watch.Next(), "SERVING");
  constexpr absl::Duration kLimit = absl::Milliseconds(500);
  const absl::Time start = absl::Now();
  server->Shutdown(absl::ToChronoTime(start + kLimit));
  EXPECT_GE(absl::Now() - start, kLimit);
  server->Wait();
}

TEST_F(DrainTest, OpenHealthCheckIsNotCutWhileACallIsInFlight) {
  ServerOptions options;
  options.drain = kForever;
  Start(options);
  HealthWatch watch(channel_);
  EXPECT_EQ(watch.Next(), "SERVING");
  absl::Status slow;
  std::thread caller([&] { slow = Get("slow"); });
  service_.entered.WaitForNotification();
  std::thread end([&] { server_->Shutdown(); });
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  // Twice what Shutdown takes for quiet.
  absl::Notification never;
  never.WaitForNotificationWithTimeout(absl::Milliseconds(200));
  service_.release.Notify();
  caller.join();
  end.join();
  EXPECT_OK(slow);
}

TEST_F(DrainTest, CallsAreTakenDuringTheGrace) {
  ServerOptions options;
  options.drain_grace = absl::Milliseconds(300);
  Start(options);
  HealthWatch watch(channel_);
  EXPECT_EQ(watch.Next(), "SERVING");
  const absl::Time start = absl::Now();
  std::thread drain([this] { server_->BeginDrain(); });
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  EXPECT_OK(Get("fast"));
  server_->SetServing(true);  // comes too late
  HealthWatch second(channel_);
  EXPECT_EQ(second.Next(), "NOT_SERVING");
  drain.join();
  EXPECT_GE(absl::Now() - start, options.drain_grace);
}

TEST_F(DrainTest, CallsThatMeetTheEndAreUnavailableAndNothingElse) {
  std::map<absl::StatusCode, int> codes;
  for (int round = 0; round < 5; ++round) {
    Start({});
    std::atomic<bool> stop{false};
    std::atomic<int> answered{0};
    std::vector<std::map<absl::StatusCode, int>> seen(4);
    std::vector<std::thread> callers;
    for (auto& mine : seen) {
      callers.emplace_back([&, channel = NewChannel(server_->address())] {
        while (!stop) {
          ++mine[GetOn(channel, "fast").code()];
          ++answered;
        }
      });
    }
    while (answered < 100) std::this_thread::yield();
    server_->Shutdown();
    const int at_the_end = answered;
    while (answered < at_the_end + 20) std::this_thread::yield();
    stop = true;
    for (std::thread& caller : callers) caller.join();
    for (const auto& mine : seen) {
      for (const auto& [code, count] : mine) codes[code] += count;
    }
  }
  EXPECT_GT(codes[absl::StatusCode::kOk], 0);
  EXPECT_GT(codes[absl::StatusCode::kUnavailable], 0);
  EXPECT_EQ(codes.size(), 2u) << ::testing::PrintToString(codes);
}

TEST_F(DrainTest, BadLimitsAreInvalid) {
  ServerOptions options;
  options.drain_grace = -absl::Seconds(1);
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.drain = absl::Hours(2);
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kodistil
