#include "tests/chaos/tcp_proxy.h"

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {
namespace {

constexpr size_t kBytes = 300000;

// Get answers with kBytes in one message.
class Artifacts : public v1::ArtifactService::Service {
 public:
  grpc::Status Get(
      grpc::ServerContext* context, const v1::GetArtifactRequest* request,
      grpc::ServerWriter<v1::GetArtifactResponse>* writer) override {
    v1::GetArtifactResponse response;
    response.set_chunk(std::string(kBytes, 'x'));
    writer->Write(response);
    return grpc::Status::OK;
  }
};

class TcpProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, Server::Start({}, {&service_}));
    ASSERT_OK_AND_ASSIGN(proxy_, TcpProxy::Start());
    proxy_->SetBackend(server_->port());
    channel_ = NewChannel(proxy_->address());
  }

  absl::Status Get(absl::Duration limit = absl::Seconds(30)) {
    const auto stub = v1::ArtifactService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
    const auto reader = stub->Get(&context, {});
    v1::GetArtifactResponse response;
    size_t bytes = 0;
    while (reader->Read(&response)) bytes += response.chunk().size();
    const absl::Status status = FromGrpcCall(reader->Finish(), context);
    EXPECT_TRUE(!status.ok() || bytes == kBytes);
    return status;
  }

  absl::Status GetInTheEnd() {
    return RetryUnavailable(absl::Seconds(20), [&] { return Get(); });
  }

  Artifacts service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<TcpProxy> proxy_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(TcpProxyTest, PassesCallsOn) {
  for (int i = 0; i < 10; ++i) EXPECT_OK(Get());
  EXPECT_EQ(proxy_->connections(), 1);
}

TEST_F(TcpProxyTest, DroppedConnectionIsUnavailableAndMadeAnew) {
  EXPECT_OK(Get());
  EXPECT_EQ(proxy_->DropConnections(), 1);
  EXPECT_OK(GetInTheEnd());
}

TEST_F(TcpProxyTest, DropsInTheMiddleOfAMessage) {
  EXPECT_OK(Get());
  proxy_->DropAfter(kBytes / 2);
  EXPECT_EQ(Get().code(), absl::StatusCode::kUnavailable);
  EXPECT_OK(GetInTheEnd());
}

TEST_F(TcpProxyTest, HungConnectionPassesNothingUntilItGoesOn) {
  EXPECT_OK(Get());
  proxy_->SetHung(true);
  EXPECT_EQ(Get(absl::Milliseconds(100)).code(),
            absl::StatusCode::kDeadlineExceeded);
  proxy_->SetHung(false);
  EXPECT_OK(GetInTheEnd());
}

TEST_F(TcpProxyTest, DelayTakesItsTime) {
  EXPECT_OK(Get());
  constexpr absl::Duration kDelay = absl::Milliseconds(50);
  proxy_->SetDelay(kDelay);
  const absl::Time start = absl::Now();
  EXPECT_OK(Get());
  EXPECT_GE(absl::Now() - start, 2 * kDelay);
}

TEST_F(TcpProxyTest, NewBackendIsFound) {
  EXPECT_OK(Get());
  server_->Shutdown();
  EXPECT_EQ(Get().code(), absl::StatusCode::kUnavailable);
  ASSERT_OK_AND_ASSIGN(server_, Server::Start({}, {&service_}));
  proxy_->SetBackend(server_->port());
  EXPECT_OK(GetInTheEnd());
}

TEST_F(TcpProxyTest, EndsWithConnectionsOpenAndHung) {
  EXPECT_OK(Get());
  proxy_->SetHung(true);
  std::thread caller([this] { EXPECT_FALSE(Get().ok()); });
  proxy_ = nullptr;
  caller.join();
}

}  // namespace
}  // namespace kodistil
