#include "base/rpc_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/grpc_bridge.h"
#include "base/metrics.h"
#include "base/metrics_testing.h"
#include "base/raw_call.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {
namespace {

// Get sends its digest's length in messages, and NOT_FOUND for an empty one;
// Put counts the messages that it reads.
class Artifacts : public v1::ArtifactService::Service {
 public:
  grpc::Status Get(
      grpc::ServerContext*, const v1::GetArtifactRequest* request,
      grpc::ServerWriter<v1::GetArtifactResponse>* writer) override {
    if (request->digest().empty()) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "none");
    }
    for (const char c : request->digest()) {
      v1::GetArtifactResponse response;
      response.set_chunk(std::string(1, c));
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Put(grpc::ServerContext*,
                   grpc::ServerReader<v1::PutArtifactRequest>* reader,
                   v1::PutArtifactResponse*) override {
    v1::PutArtifactRequest request;
    while (reader->Read(&request)) {
    }
    return grpc::Status::OK;
  }
};

class RpcMetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({}, {&service_});
    ASSERT_OK(server);
    server_ = *std::move(server);
    channel_ = NewChannel(server_->address());
    before_ = Look();
  }

  static ParsedMetrics Look() {
    const auto parsed = ParseMetrics(MetricRegistry::Process().Text());
    EXPECT_OK(parsed);
    return parsed.ok() ? *parsed : ParsedMetrics();
  }

  // Since the test began, over all series of the name that have this label.
  double Growth(const std::string& name, const std::string& label) const {
    return Look().Sum(name, label) - before_.Sum(name, label);
  }

  absl::Status Get(const std::string& digest) {
    const auto stub = v1::ArtifactService::NewStub(channel_);
    grpc::ClientContext context;
    v1::GetArtifactRequest request;
    request.set_digest(digest);
    const auto reader = stub->Get(&context, request);
    v1::GetArtifactResponse response;
    while (reader->Read(&response)) {
    }
    return FromGrpcStatus(reader->Finish());
  }

  Artifacts service_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  ParsedMetrics before_;
};

TEST_F(RpcMetricsTest, CallsAndMessagesAreCountedByMethodAndCode) {
  ASSERT_OK(Get("abc"));
  ASSERT_OK(Get("d"));
  EXPECT_THAT(Get(""), StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  const std::string method =
      "grpc_type=\"server_stream\",grpc_service=\"kodistil.v1.ArtifactService\""
      ",grpc_method=\"Get\"";
  EXPECT_EQ(Growth("grpc_server_started_total", method), 3);
  EXPECT_EQ(Growth("grpc_server_handled_total", method), 3);
  EXPECT_EQ(Growth("grpc_server_handled_total", method + ",grpc_code=\"OK\""),
            2);
  EXPECT_EQ(
      Growth("grpc_server_handled_total", method + ",grpc_code=\"NotFound\""),
      1);
  EXPECT_EQ(Growth("grpc_server_msg_received_total", method), 3);
  EXPECT_EQ(Growth("grpc_server_msg_sent_total", method), 4);
  EXPECT_EQ(Growth("grpc_server_handling_seconds_count", method), 3);
}

TEST_F(RpcMetricsTest, ClientStreamsCountWhatComes) {
  const auto stub = v1::ArtifactService::NewStub(channel_);
  grpc::ClientContext context;
  v1::PutArtifactResponse response;
  const auto writer = stub->Put(&context, &response);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer->Write({}));
  writer->WritesDone();
  ASSERT_OK(FromGrpcStatus(writer->Finish()));
  const std::string method = "grpc_type=\"client_stream\"";
  EXPECT_EQ(Growth("grpc_server_msg_received_total", method), 5);
  EXPECT_EQ(Growth("grpc_server_msg_sent_total", method), 1);
  EXPECT_EQ(Growth("grpc_server_handled_total", method), 1);
}

TEST_F(RpcMetricsTest, NamesOfStrangersDoNotBecomeLabels) {
  const size_t series = Look().samples.size();
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(CallRaw(channel_, absl::StrCat("/a.b.C", i, "/D"), ""),
                StatusIs(absl::StatusCode::kUnimplemented, ::testing::_));
  }
  // At most the one series of each family for what is unknown.
  EXPECT_LE(Look().samples.size(), series + 50);
  EXPECT_EQ(Growth("grpc_server_started_total", "a.b.C"), 0);
}

TEST_F(RpcMetricsTest, HealthChecksAreUnaryCalls) {
  EXPECT_OK(CallRaw(channel_, "/grpc.health.v1.Health/Check", ""));
  EXPECT_EQ(
      Growth("grpc_server_handled_total",
             "grpc_service=\"grpc.health.v1.Health\",grpc_method=\"Check\""
             ",grpc_code=\"OK\""),
      1);
}

}  // namespace
}  // namespace kodistil
