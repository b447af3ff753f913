#include "serving/load_generator.h"

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/http_server.h"
#include "base/testing.h"
#include "serving/student_server.h"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

LoadOptions Options(int port) {
  LoadOptions options;
  options.address = absl::StrCat("127.0.0.1:", port);
  options.rate = 2000;
  options.duration = absl::Milliseconds(200);
  options.connections = 4;
  options.texts = {"영화", "\"최악\"\n"};
  return options;
}

TEST(LoadGeneratorTest, LoadsTheRealServerOverBothProtocols) {
  const std::string folder = NewTestDir() + "/student";
  ASSERT_OK(SaveRandomStudent(folder, 1));
  StudentServerOptions server_options;
  server_options.classifier.models.models = {{"m", folder}};
  MetricRegistry registry;
  server_options.registry = &registry;
  ASSERT_OK_AND_ASSIGN(const auto server, StudentServer::Start(server_options));
  for (const char* protocol : {"http", "grpc"}) {
    LoadOptions options =
        Options(protocol == std::string("http") ? server->http()->port()
                                                : server->grpc()->port());
    options.protocol = protocol;
    ASSERT_OK_AND_ASSIGN(const LoadResult result, RunLoad(options));
    EXPECT_EQ(result.good, 400) << protocol;
    EXPECT_THAT(result.failures, IsEmpty());
    EXPECT_GE(result.elapsed, absl::Milliseconds(199));
    EXPECT_GT(result.p50, absl::ZeroDuration());
    EXPECT_LE(result.p50, result.p99);
    EXPECT_LE(result.p99, result.most);
    EXPECT_GT(result.late_p99, absl::ZeroDuration());
    EXPECT_LE(result.late_p99, result.most);
  }
  EXPECT_EQ(server->classifier()->counts().texts, 800u);
}

// Holds up its thread on the first request.
AsyncHttpHandler StallOnce(absl::Duration stall) {
  const auto first = std::make_shared<std::atomic<bool>>(true);
  return [first, stall](const HttpRequest&, HttpReply reply) {
    if (first->exchange(false)) {
      const absl::Time end = absl::Now() + stall;
      while (absl::Now() < end) {
      }
    }
    reply.Send({});
  };
}

// The server stalls once, on the first request of one connection: all that
// become due meanwhile are late, which a closed loop would not see.
TEST(LoadGeneratorTest, AStallCountsForAllThatWereDue) {
  constexpr absl::Duration kStall = absl::Milliseconds(100);
  ASSERT_OK_AND_ASSIGN(const auto server,
                       HttpServer::Start({}, {{"POST", "/v1/classify", nullptr,
                                               StallOnce(kStall)}}));
  LoadOptions options = Options(server->port());
  options.connections = 1;
  ASSERT_OK_AND_ASSIGN(const LoadResult result, RunLoad(options));
  EXPECT_EQ(result.good, 400);
  EXPECT_GE(result.most, kStall);
  // Half of the requests were due in those 100 ms, 50 ms late at the median.
  EXPECT_GE(result.p90, absl::Milliseconds(30));
}

// All are due while the server stalls: but for the first one they wait for the
// connection, which is the server's doing.
TEST(LoadGeneratorTest, WaitingForAConnectionIsNotTheGeneratorsLateness) {
  constexpr absl::Duration kStall = absl::Milliseconds(500);
  ASSERT_OK_AND_ASSIGN(const auto server,
                       HttpServer::Start({}, {{"POST", "/v1/classify", nullptr,
                                               StallOnce(kStall)}}));
  LoadOptions options = Options(server->port());
  options.connections = 1;
  options.rate = 1e5;
  options.duration = absl::Milliseconds(1);
  ASSERT_OK_AND_ASSIGN(const LoadResult result, RunLoad(options));
  EXPECT_EQ(result.good, 100);
  EXPECT_GE(result.p50, kStall - absl::Milliseconds(1));
  EXPECT_LT(result.late_p99, kStall / 2);
}

TEST(LoadGeneratorTest, CountsFailuresByKind) {
  const HttpHandler refuse = [](const HttpRequest&) {
    return HttpOverloaded("no");
  };
  ASSERT_OK_AND_ASSIGN(
      auto server,
      HttpServer::Start({}, {{"POST", "/v1/classify", refuse, nullptr}}));
  LoadOptions options = Options(server->port());
  ASSERT_OK_AND_ASSIGN(const LoadResult refused, RunLoad(options));
  EXPECT_EQ(refused.good, 0);
  EXPECT_THAT(refused.failures, ElementsAre(Pair("status 503", 400)));
  server = nullptr;
  ASSERT_OK_AND_ASSIGN(const LoadResult gone, RunLoad(options));
  EXPECT_THAT(gone.failures,
              ElementsAre(Pair(HasSubstr("Connection refused"), 400)));
}

TEST(LoadGeneratorTest, NamesWhatIsWrong) {
  const auto expect = [](const LoadOptions& options, const char* message) {
    EXPECT_THAT(RunLoad(options), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr(message)));
  };
  LoadOptions options = Options(1);
  options.address = "10.0.0.1:80";
  expect(options, "10.0.0.1:80 is another machine");
  options.address = "127.0.0.1";
  expect(options, "expected IP:PORT");
  options = Options(1);
  options.rate = 0;
  expect(options, "the rate is 0");
  options = Options(1);
  options.texts.clear();
  expect(options, "no texts");
  options = Options(1);
  options.protocol = "ftp";
  expect(options, "\"ftp\"; expected http or grpc");
}

}  // namespace
}  // namespace kodistil
