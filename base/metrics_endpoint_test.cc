#include "base/metrics_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/http_testing.h"
#include "base/metrics_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

MetricsEndpointOptions AnyPort() {
  MetricsEndpointOptions options;
  options.port = 0;
  return options;
}

TEST(MetricsEndpointTest, MetricsAreThoseOfTheProcess) {
  Counter& counter = MetricRegistry::Process()
                         .Counters({"kodistil_test_total", "For this test"})
                         .With();
  counter.Increment(7);
  ASSERT_OK_AND_ASSIGN(const auto endpoint, MetricsEndpoint::Start(AnyPort()));
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer,
                       HttpCall(endpoint->port(), "GET", "/metrics"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"),
            "text/plain; version=0.0.4; charset=utf-8");
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics parsed, ParseMetrics(answer.body));
  EXPECT_EQ(parsed.Value("kodistil_test_total"), 7);
  EXPECT_GT(parsed.Value("process_resident_memory_bytes"), 0);
}

TEST(MetricsEndpointTest, ReadinessFollowsWhatItIsTold) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, MetricsEndpoint::Start(AnyPort()));
  const auto ready = [&] {
    return HttpCall(endpoint->port(), "GET", "/readyz");
  };
  ASSERT_OK_AND_ASSIGN(RawHttpAnswer answer, ready());
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("starting"));
  endpoint->SetReady(absl::OkStatus());
  ASSERT_OK_AND_ASSIGN(answer, ready());
  EXPECT_EQ(answer.status, 200);
  endpoint->SetReady(absl::UnavailableError("the disk is full"));
  ASSERT_OK_AND_ASSIGN(answer, ready());
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "the disk is full\n");
  endpoint->BeginDrain();
  endpoint->SetReady(absl::OkStatus());
  ASSERT_OK_AND_ASSIGN(answer, ready());
  EXPECT_EQ(answer.status, 503) << "a draining process gets ready no more";
  // It is alive all the time.
  ASSERT_OK_AND_ASSIGN(answer, HttpCall(endpoint->port(), "GET", "/healthz"));
  EXPECT_EQ(answer.status, 200);
}

TEST(MetricsEndpointTest, NothingElseIsAnswered) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, MetricsEndpoint::Start(AnyPort()));
  ASSERT_OK_AND_ASSIGN(RawHttpAnswer answer,
                       HttpCall(endpoint->port(), "GET", "/"));
  EXPECT_EQ(answer.status, 404);
  ASSERT_OK_AND_ASSIGN(answer, HttpCall(endpoint->port(), "POST", "/metrics"));
  EXPECT_EQ(answer.status, 405);
}

TEST(MetricsEndpointTest, WithoutAPortNothingListens) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, MetricsEndpoint::Start({}));
  EXPECT_EQ(endpoint->port(), -1);
  endpoint->SetReady(absl::OkStatus());
  endpoint->BeginDrain();
}

TEST(MetricsEndpointTest, PortFileSaysThePort) {
  MetricsEndpointOptions options = AnyPort();
  options.port_file = JoinPath(NewTestDir(), "port");
  ASSERT_OK_AND_ASSIGN(const auto endpoint, MetricsEndpoint::Start(options));
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(options.port_file));
  EXPECT_EQ(text, absl::StrCat(endpoint->port(), "\n"));
}

TEST(MetricsEndpointTest, BadAndTakenPortsAreErrors) {
  MetricsEndpointOptions options;
  options.port = 65536;
  EXPECT_THAT(MetricsEndpoint::Start(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--metrics_port is 65536")));
  ASSERT_OK_AND_ASSIGN(const auto endpoint, MetricsEndpoint::Start(AnyPort()));
  options.port = endpoint->port();
  EXPECT_THAT(MetricsEndpoint::Start(options),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(absl::StrCat(options.port))));
}

}  // namespace
}  // namespace kodistil
