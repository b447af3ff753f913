#include "base/server.h"

#include <signal.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/raw_call.h"
#include "base/retry.h"
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
    ++calls;
    v1::GetArtifactResponse response;
    response.set_chunk(request->digest());
    writer->Write(response);
    release.WaitForNotification();
    writer->Write(response);
    return grpc::Status::OK;
  }

  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<v1::PutArtifactRequest>* reader,
                   v1::PutArtifactResponse* response) override {
    v1::PutArtifactRequest request;
    while (reader->Read(&request)) ++puts;
    return grpc::Status::OK;
  }

  absl::Notification release;
  std::atomic<int> calls{0};
  std::atomic<int> puts{0};  // messages
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

TEST(ServerTest, CallsBeyondThoseOfOneConnectionWaitAtTheClient) {
  SlowArtifacts service;
  ServerOptions options;
  options.max_calls_per_connection = 2;
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start(options, {&service}));
  const auto channel = NewChannel(server->address());
  const auto stub = v1::ArtifactService::NewStub(channel);
  grpc::ClientContext contexts[3];
  std::unique_ptr<grpc::ClientReader<v1::GetArtifactResponse>> readers[3];
  v1::GetArtifactResponse response;
  for (int i = 0; i < 2; ++i) {
    readers[i] = stub->Get(&contexts[i], {});
    ASSERT_TRUE(readers[i]->Read(&response));
  }
  // The third is not even sent.
  contexts[2].set_deadline(
      absl::ToChronoTime(absl::Now() + absl::Milliseconds(200)));
  readers[2] = stub->Get(&contexts[2], {});
  EXPECT_FALSE(readers[2]->Read(&response));
  EXPECT_EQ(FromGrpcStatus(readers[2]->Finish()).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(service.calls, 2);
  // Control: another client is served.
  const auto other =
      v1::ArtifactService::NewStub(NewChannel(server->address()));
  grpc::ClientContext context;
  const auto reader = other->Get(&context, {});
  EXPECT_TRUE(reader->Read(&response));
  service.release.Notify();
}

// A message of as many bytes as `size`, in the end.
absl::Status PutOfSize(const std::shared_ptr<grpc::Channel>& channel,
                       size_t size) {
  const auto stub = v1::ArtifactService::NewStub(channel);
  grpc::ClientContext context;
  v1::PutArtifactResponse response;
  const auto writer = stub->Put(&context, &response);
  v1::PutArtifactRequest request;
  request.set_chunk(std::string(size, 'x'));
  request.mutable_chunk()->resize(2 * size - request.ByteSizeLong());
  writer->Write(request);
  writer->WritesDone();
  return FromGrpcCall(writer->Finish(), context);
}

TEST(ServerTest, MessageBeyondTheLimitIsResourceExhaustedAndNotRetried) {
  SlowArtifacts service;
  const size_t limit = ServerOptions().max_message_bytes;
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start({}, {&service}));
  const auto channel = NewChannel(server->address());
  int tries = 0;
  const auto put = [&](size_t size) {
    tries = 0;
    return RetryUnavailable(absl::Seconds(10), [&] {
      ++tries;
      return PutOfSize(channel, size);
    });
  };
  EXPECT_OK(put(limit));
  EXPECT_EQ(service.puts, 1);
  EXPECT_THAT(put(limit + 1), StatusIs(absl::StatusCode::kResourceExhausted,
                                       HasSubstr("16777217")));
  EXPECT_EQ(tries, 1);
  EXPECT_EQ(service.puts, 1);
  // Control: what would have been retried.
  server->Shutdown();
  EXPECT_THAT(RetryUnavailable(absl::Milliseconds(300),
                               [&] {
                                 ++tries;
                                 return PutOfSize(channel, 1000);
                               }),
              StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
  EXPECT_GT(tries, 2);
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
