#include "base/server.h"

#include <signal.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/raw_call.h"
#include "base/testing.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// Get sends one chunk, waits for `release`, and sends another.
class SlowArtifacts : public v1::ArtifactService::Service {
 public:
  grpc::Status Get(
      grpc::ServerContext* context, const v1::GetArtifactRequest* request,
      grpc::ServerWriter<v1::GetArtifactResponse>* writer) override {
    v1::GetArtifactResponse response;
    response.set_chunk(request->digest());
    writer->Write(response);
    release.WaitForNotification();
    writer->Write(response);
    return grpc::Status::OK;
  }

  absl::Notification release;
};

TEST(ServerTest, HealthIsServingForTheWholeServer) {
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start({}, {}));
  EXPECT_GT(server->port(), 0);
  EXPECT_EQ(server->address(), absl::StrCat("127.0.0.1:", server->port()));
  // HealthCheckResponse{status: SERVING}.
  ASSERT_OK_AND_ASSIGN(const std::string answer,
                       CallRaw(NewChannel(server->address()),
                               "/grpc.health.v1.Health/Check", ""));
  EXPECT_EQ(answer, "\x08\x01");
  // HealthCheckRequest{service: "no"}.
  EXPECT_THAT(CallRaw(NewChannel(server->address()),
                      "/grpc.health.v1.Health/Check", "\x0a\x02no"),
              StatusIs(absl::StatusCode::kNotFound, ::testing::_));
}

TEST(ServerTest, ReflectionListsTheServices) {
  SlowArtifacts service;
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start({}, {&service}));
  // ServerReflectionRequest{list_services: "*"}.
  ASSERT_OK_AND_ASSIGN(
      const std::string answer,
      CallRaw(NewChannel(server->address()),
              "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              "\x3a\x01*"));
  EXPECT_THAT(answer, HasSubstr("kodistil.v1.ArtifactService"));
}

TEST(ServerTest, PortInUseIsUnavailableAndNamed) {
  ASSERT_OK_AND_ASSIGN(const auto first, Server::Start({}, {}));
  ServerOptions options;
  options.port = first->port();
  EXPECT_THAT(Server::Start(options, {}),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(absl::StrCat(first->port()))));
}

TEST(ServerTest, PortIsFreeAfterShutdown) {
  ASSERT_OK_AND_ASSIGN(const auto first, Server::Start({}, {}));
  first->Shutdown();
  first->Shutdown();
  ServerOptions options;
  options.port = first->port();
  EXPECT_OK(Server::Start(options, {}));
}

TEST(ServerTest, BadOptionsAreInvalidArgument) {
  ServerOptions options;
  options.port = 65536;
  EXPECT_THAT(Server::Start(options, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65536")));
  options = {};
  options.host = "";
  EXPECT_THAT(Server::Start(options, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("host")));
}

TEST(ServerTest, CallInFlightFinishesDuringShutdown) {
  SlowArtifacts service;
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start({}, {&service}));
  const auto stub = v1::ArtifactService::NewStub(NewChannel(server->address()));
  grpc::ClientContext context;
  v1::GetArtifactRequest request;
  request.set_digest("d");
  const auto reader = stub->Get(&context, request);
  v1::GetArtifactResponse response;
  ASSERT_TRUE(reader->Read(&response));
  std::thread shutdown([&] { server->Shutdown(); });
  service.release.Notify();
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_OK(FromGrpcStatus(reader->Finish()));
  shutdown.join();
}

TEST(ServerTest, CallLongerThanTheDrainIsCancelled) {
  SlowArtifacts service;
  ServerOptions options;
  options.drain = absl::ZeroDuration();
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start(options, {&service}));
  const auto stub = v1::ArtifactService::NewStub(NewChannel(server->address()));
  grpc::ClientContext context;
  const auto reader = stub->Get(&context, {});
  v1::GetArtifactResponse response;
  ASSERT_TRUE(reader->Read(&response));
  std::thread shutdown([&] { server->Shutdown(); });
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_FALSE(reader->Finish().ok());
  service.release.Notify();
  shutdown.join();
}

TEST(NewChannelTest, NobodyThereIsUnavailable) {
  int port = 0;
  {
    ASSERT_OK_AND_ASSIGN(const auto server, Server::Start({}, {}));
    port = server->port();
  }
  const auto stub = v1::ArtifactService::NewStub(
      NewChannel(absl::StrCat("127.0.0.1:", port)));
  grpc::ClientContext context;
  v1::GetArtifactResponse response;
  const auto reader = stub->Get(&context, {});
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_THAT(FromGrpcStatus(reader->Finish()),
              StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
}

TEST(StopSignalDeathTest, SigtermIsWaitedForAndASecondOneEndsTheProcess) {
  EXPECT_EXIT(
      {
        BlockStopSignals();
        kill(getpid(), SIGTERM);
        if (WaitForStopSignal() != SIGTERM) _exit(1);
        kill(getpid(), SIGINT);
        for (;;) pause();
      },
      ::testing::ExitedWithCode(128 + SIGINT), "");
}

TEST(StopSignalDeathTest, SecondSignalEndsTheProcessBeforeItWaitsToo) {
  EXPECT_EXIT(
      {
        BlockStopSignals();
        kill(getpid(), SIGTERM);
        kill(getpid(), SIGTERM);
        for (;;) pause();
      },
      ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(StopSignalDeathTest, ThreadsFromBeforeMainDoNotMatter) {
  EXPECT_EXIT(
      {
        std::thread earlier([] {
          for (;;) pause();
        });
        BlockStopSignals();
        // To that thread alone, as the kernel may choose.
        pthread_kill(earlier.native_handle(), SIGTERM);
        _exit(WaitForStopSignal());
      },
      ::testing::ExitedWithCode(SIGTERM), "");
}

TEST(WritePortFileTest, WritesTheNumberAndALineEnd) {
  const std::string path = JoinPath(NewTestDir(), "port");
  ASSERT_OK(WritePortFile(path, 4711));
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(path));
  EXPECT_EQ(text, "4711\n");
  EXPECT_OK(WritePortFile("", 4711));
}

}  // namespace
}  // namespace kodistil
