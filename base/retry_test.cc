// What is retried, when, and how often: counted at a server.

#include "base/retry.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "base/testing.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(20);
// gRPC's own retries keep 256 KiB of a call unless told otherwise.
constexpr size_t kLargeBytes = 300 << 10;

// What docs/operations.md tells clients of other makers to set.
constexpr char kServiceConfig[] = R"json({
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.05s",
      "maxBackoff": "2s",
      "backoffMultiplier": 1.6,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
})json";

// Refuses the first `refusals` calls of Put, then takes what is sent.
class RefusingArtifacts : public v1::ArtifactService::Service {
 public:
  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<v1::PutArtifactRequest>* reader,
                   v1::PutArtifactResponse* response) override {
    absl::MutexLock lock(&mutex_);
    calls_.push_back(absl::Now());
    const auto& metadata = context->client_metadata();
    const auto previous = metadata.find("grpc-previous-rpc-attempts");
    previous_attempts_ = 0;
    if (previous != metadata.end()) {
      EXPECT_TRUE(absl::SimpleAtoi(
          absl::string_view(previous->second.data(), previous->second.size()),
          &previous_attempts_));
    }
    if (static_cast<int>(calls_.size()) <= refusals) {
      if (!pushback.empty()) {
        context->AddTrailingMetadata("grpc-retry-pushback-ms", pushback);
      }
      return grpc::Status(code, "not now");
    }
    v1::PutArtifactRequest request;
    while (reader->Read(&request)) received_ += request.chunk().size();
    return grpc::Status::OK;
  }

  std::vector<absl::Time> calls() {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }
  // Of the last call, as gRPC's own retries tell it.
  int previous_attempts() {
    absl::MutexLock lock(&mutex_);
    return previous_attempts_;
  }
  size_t received() {
    absl::MutexLock lock(&mutex_);
    return received_;
  }

  // Set before the first call.
  int refusals = 3;
  grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE;
  std::string pushback;

 private:
  absl::Mutex mutex_;
  std::vector<absl::Time> calls_ ABSL_GUARDED_BY(mutex_);
  int previous_attempts_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t received_ ABSL_GUARDED_BY(mutex_) = 0;
};

class RetryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, Server::Start({}, {&service_}));
    channel_ = NewChannel(server_->address());
  }

  // A client that leaves retries to gRPC.
  void UseGrpcRetries(const std::string& service_config,
                      int buffer_bytes = 4 << 20) {
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(service_config);
    arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, buffer_bytes);
    channel_ = grpc::CreateCustomChannel(
        server_->address(), grpc::InsecureChannelCredentials(), arguments);
  }

  absl::Status PutOnce(size_t bytes) {
    const auto stub = v1::ArtifactService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kLimit));
    v1::PutArtifactResponse response;
    const auto writer = stub->Put(&context, &response);
    v1::PutArtifactRequest request;
    request.set_chunk(std::string(bytes, 'x'));
    writer->Write(request);
    writer->WritesDone();
    return FromGrpcCall(writer->Finish(), context);
  }

  absl::Status Put(size_t bytes = 1) {
    return RetryUnavailable(kLimit, [&] { return PutOnce(bytes); });
  }

  RefusingArtifacts service_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(RetryTest, UnavailableIsRetriedUntilItIsOk) {
  EXPECT_OK(Put());
  EXPECT_EQ(service_.calls().size(), 4u);
  EXPECT_EQ(service_.received(), 1u);
}

TEST_F(RetryTest, LargeRequestIsRetriedWhole) {
  EXPECT_OK(Put(kLargeBytes));
  EXPECT_EQ(service_.calls().size(), 4u);
  EXPECT_EQ(service_.received(), kLargeBytes);
}

// The control of the tests above, and the promise of one layer of retries.
TEST_F(RetryTest, ChannelItselfRetriesNothing) {
  EXPECT_EQ(PutOnce(1).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(service_.calls().size(), 1u);
}

TEST_F(RetryTest, OtherCodesAreTriedOnce) {
  size_t calls = 0;
  service_.refusals = 1000;
  for (int code = 1; code <= 16; ++code) {
    service_.code = static_cast<grpc::StatusCode>(code);
    // CANCELLED without our doing is how a server that ends turns calls away.
    if (service_.code == grpc::StatusCode::UNAVAILABLE ||
        service_.code == grpc::StatusCode::CANCELLED) {
      continue;
    }
    EXPECT_EQ(Put().code(), static_cast<absl::StatusCode>(code));
    EXPECT_EQ(service_.calls().size(), ++calls) << "code " << code;
  }
}

TEST_F(RetryTest, CancelledByTheServerIsRetried) {
  service_.code = grpc::StatusCode::CANCELLED;
  EXPECT_OK(Put());
  EXPECT_EQ(service_.calls().size(), 4u);
}

TEST_F(RetryTest, PushbackIsTheLeastWait) {
  service_.refusals = 1;
  service_.pushback = "300";
  EXPECT_OK(Put());
  const std::vector<absl::Time> calls = service_.calls();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_GE(calls[1] - calls[0], absl::Milliseconds(300));
}

TEST_F(RetryTest, PushbackThatIsNegativeOrNoNumberMeansNever) {
  for (const char* pushback : {"-1", "soon"}) {
    const size_t before = service_.calls().size();
    service_.refusals = 1000;
    service_.pushback = pushback;
    EXPECT_THAT(Put(), StatusIs(absl::StatusCode::kUnavailable, "not now"));
    EXPECT_EQ(service_.calls().size(), before + 1);
  }
}

TEST_F(RetryTest, PushbackIsKeptByAnnotate) {
  absl::Status status = absl::UnavailableError("full");
  SetPushback(absl::Seconds(3), &status);
  EXPECT_GE(RetryDelay(Annotate(status, "store"), 0), absl::Seconds(3));
  EXPECT_LT(RetryDelay(absl::UnavailableError("full"), 0), absl::Seconds(1));
}

TEST_F(RetryTest, GivesUpAtTheLimitWithTheLastStatus) {
  int calls = 0;
  EXPECT_THAT(RetryUnavailable(absl::ZeroDuration(),
                               [&] {
                                 ++calls;
                                 return absl::UnavailableError("down");
                               }),
              StatusIs(absl::StatusCode::kUnavailable, "down"));
  EXPECT_EQ(calls, 1);
}

// Clients of other makers: gRPC's own retries understand our refusals.
TEST_F(RetryTest, GrpcClientRetriesALargeRequest) {
  UseGrpcRetries(kServiceConfig);
  EXPECT_OK(PutOnce(kLargeBytes));
  EXPECT_EQ(service_.calls().size(), 4u);
  EXPECT_EQ(service_.previous_attempts(), 3);
  EXPECT_EQ(service_.received(), kLargeBytes);
}

TEST_F(RetryTest, GrpcClientNeedsALargerBufferForIt) {
  UseGrpcRetries(kServiceConfig, /*buffer_bytes=*/256 << 10);
  EXPECT_EQ(PutOnce(kLargeBytes).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(service_.calls().size(), 1u);
}

TEST_F(RetryTest, GrpcClientTriesOtherCodesOnce) {
  UseGrpcRetries(kServiceConfig);
  service_.refusals = 1000;
  size_t calls = 0;
  for (const auto code : {grpc::StatusCode::INVALID_ARGUMENT,
                          grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    service_.code = code;
    EXPECT_EQ(PutOnce(1).code(), static_cast<absl::StatusCode>(code));
    EXPECT_EQ(service_.calls().size(), ++calls);
  }
}

// The control: a policy that retries too much is seen at the server.
TEST_F(RetryTest, WrongPolicyIsSeen) {
  std::string config = kServiceConfig;
  const std::string good = "[\"UNAVAILABLE\"]";
  config.replace(config.find(good), good.size(), "[\"INVALID_ARGUMENT\"]");
  UseGrpcRetries(config);
  service_.code = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_OK(PutOnce(1));
  EXPECT_EQ(service_.calls().size(), 4u);
}

TEST(BackoffDelayTest, GrowsFromFiftyMillisecondsToTwoSeconds) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_GE(BackoffDelay(0), absl::Milliseconds(40));
    EXPECT_LE(BackoffDelay(0), absl::Milliseconds(60));
    EXPECT_GE(BackoffDelay(1000), absl::Milliseconds(1600));
    EXPECT_LE(BackoffDelay(1000), absl::Milliseconds(2400));
  }
}

}  // namespace
}  // namespace kodistil
