// The whole server in this process, over real sockets.

#include "serving/student_server.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/http_testing.h"
#include "base/metrics_testing.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/serving.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr char kJson[] = "application/json";
constexpr int64_t kMostGrowth = 64 << 20;

class StudentServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StudentServerOptions options;
    ASSERT_OK_AND_ASSIGN(options.classifier.models.models,
                         SaveTwoStudents(folder_));
    options.registry = &registry_;
    ASSERT_OK_AND_ASSIGN(server_, StudentServer::Start(options));
  }

  RawHttpAnswer Call(absl::string_view method, absl::string_view target,
                     absl::string_view body = "",
                     absl::string_view type = kJson) {
    const auto answer =
        HttpCall(server_->http()->port(), method, target, body, type);
    EXPECT_OK(answer);
    return answer.ok() ? *answer : RawHttpAnswer();
  }

  Json Good(absl::string_view body) {
    const RawHttpAnswer answer = Call("POST", "/v1/classify", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.headers.at("content-type"),
              "application/json; charset=utf-8");
    return Json::parse(answer.body);
  }

  grpc::Status Classify(const v1::ClassifyRequest& request,
                        v1::ClassifyResponse* response) {
    const auto stub =
        v1::SentimentService::NewStub(NewChannel(server_->grpc()->address()));
    grpc::ClientContext context;
    return stub->Classify(&context, request, response);
  }

  const std::string folder_ = NewTestDir();
  MetricRegistry registry_;
  std::unique_ptr<StudentServer> server_;
};

TEST_F(StudentServerTest, HttpAndGrpcAnswerAlike) {
  const Json json = Good(R"({"texts": ["영화가 최고!", "싫다"]})");
  EXPECT_EQ(json["model"], "first");
  v1::ClassifyRequest request;
  request.add_texts("영화가 최고!");
  request.add_texts("싫다");
  v1::ClassifyResponse response;
  ASSERT_TRUE(Classify(request, &response).ok());
  EXPECT_EQ(response.model(), "first");
  ASSERT_EQ(response.answers_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(json["answers"][i]["label"], response.answers(i).label());
    EXPECT_NEAR(json["answers"][i]["probabilities"][1].get<double>(),
                response.answers(i).probabilities(1), 1e-5);
  }
}

TEST_F(StudentServerTest, ServesSeveralModels) {
  const Json first = Good(R"({"texts": ["영화"]})");
  const Json second = Good(R"({"texts": ["영화"], "model": "second"})");
  EXPECT_NE(first["answers"], second["answers"]);
  EXPECT_EQ(second["model"], "second");
  v1::ClassifyRequest request;
  request.add_texts("영화");
  request.set_model("third");
  v1::ClassifyResponse response;
  EXPECT_EQ(Classify(request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(
      Call("POST", "/v1/classify", R"({"texts": ["영화"], "model": "third"})")
          .status,
      404);
  EXPECT_EQ(Json::parse(Call("GET", "/v1/models").body)["models"].size(), 2u);
  EXPECT_EQ(Json::parse(Call("GET", "/v1/model?name=second").body)["name"],
            "second");
  EXPECT_EQ(Json::parse(Call("GET", "/v1/model").body)["name"], "first");
  EXPECT_EQ(Call("GET", "/v1/model?name=third").status, 404);
  EXPECT_EQ(Call("GET", "/v1/model?name=%zz").status, 400);
}

TEST_F(StudentServerTest, ExplainsWords) {
  const Json json = Good(R"({"texts": ["정말 재미있다"], "explain": true})");
  const Json words = json["answers"][0]["words"];
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[1]["begin"], 3);
  EXPECT_EQ(words[1]["end"], 7);
  const double whole = json["answers"][0]["probabilities"][1];
  const double without =
      Good(R"({"texts": [" 재미있다"]})")["answers"][0]["probabilities"][1];
  EXPECT_NEAR(words[0]["weight"].get<double>(), whole - without, 1e-5);
}

TEST_F(StudentServerTest, TakesTheSeedsForm) {
  const RawHttpAnswer answer = Call(
      "POST", "/classify", "sentence=%EC%98%81%ED%99%94+%EC%B5%9C%EA%B3%A0",
      "application/x-www-form-urlencoded");
  EXPECT_EQ(answer.status, 200);
  const Json json = Json::parse(answer.body);
  EXPECT_EQ(json["probabilities"],
            Good(R"({"texts": ["영화 최고"]})")["answers"][0]["probabilities"]);
  EXPECT_THAT(json["name"], AnyOf("positive", "negative"));
  const RawHttpAnswer none =
      Call("POST", "/classify", "text=a", "application/x-www-form-urlencoded");
  EXPECT_EQ(none.status, 400);
  EXPECT_EQ(Json::parse(none.body)["field"], "sentence");
}

TEST_F(StudentServerTest, NamesWhatIsWrongWithARequest) {
  const RawHttpAnswer answer =
      Call("POST", "/v1/classify", R"({"texts": ["a", ""]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(Json::parse(answer.body)["field"], "texts[1]");
  EXPECT_EQ(Call("POST", "/v1/classify", "{}", "text/plain").status, 415);
  EXPECT_EQ(Call("GET", "/v1/classify").status, 405);
  EXPECT_EQ(Call("GET", "/v1/classify").headers.at("allow"), "POST");
  v1::ClassifyResponse response;
  EXPECT_EQ(Classify({}, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(StudentServerTest, HttpBeyondLoopbackMustBeAskedFor) {
  StudentServerOptions options;
  options.classifier.models.models = {{"first", folder_ + "/first"}};
  MetricRegistry registry;
  options.registry = &registry;
  options.http.host = "0.0.0.0";
  EXPECT_THAT(
      StudentServer::Start(options),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--insecure")));
  options.grpc.access.insecure = true;
  EXPECT_OK(StudentServer::Start(options));
}

TEST_F(StudentServerTest, EveryAnswerHasThePolicy) {
  for (const char* path : {"/healthz", "/nothing", "/v1/models"}) {
    EXPECT_EQ(Call("GET", path).headers.at("content-security-policy"),
              "default-src 'none'; script-src 'self'; style-src 'self'; "
              "connect-src 'self'; img-src 'self'; frame-ancestors 'none'; "
              "base-uri 'none'; form-action 'self'");
  }
}

// What of row 23 reaches the JSON, one after the other.
TEST_F(StudentServerTest, HostileBodiesAreRefusedAndTheNextRequestIsNot) {
  Good(R"({"texts": ["영화"]})");
  const int64_t before = ResidentBytes();
  std::string million = R"({"texts": [")" + std::string(900000, 'a') + "\"]}";
  for (const std::string& body :
       {std::string("{\"texts\": [\"\xED\xA0\x80\"]}"),
        std::string("{\"texts\": [\"\xC0\xAF\"]}"), std::string(100000, '['),
        "{\"texts\":" + std::string(100000, '['),
        "{\"texts\":" + std::string(100000, '{'), million,
        std::string(900000, ' '), std::string("{\"texts\": [\"\\ud800\"]}"),
        R"({"texts": [")" + std::string(10001, 'a') + "\"]}"}) {
    const RawHttpAnswer answer = Call("POST", "/v1/classify", body);
    EXPECT_EQ(answer.status, 400) << body.substr(0, 40);
    EXPECT_LT(answer.body.size(), 400u);
    EXPECT_FALSE(Json::parse(answer.body)["error"].empty());
  }
  EXPECT_EQ(
      Call("POST", "/v1/classify", std::string((1 << 20) + 1, 'a')).status,
      413);
  EXPECT_LT(ResidentBytes() - before, kMostGrowth);
  Good(R"({"texts": ["영화"]})");
}

TEST_F(StudentServerTest, MetricsAreStrictlyPrometheus) {
  Good(R"({"texts": ["영화"]})");
  Good(R"({"texts": ["영화"]})");
  Call("GET", "/nothing");
  const RawHttpAnswer answer = Call("GET", "/metrics");
  EXPECT_THAT(answer.headers.at("content-type"),
              HasSubstr("text/plain; version=0.0.4"));
  ASSERT_OK_AND_ASSIGN(const ParsedMetrics metrics, ParseMetrics(answer.body));
  EXPECT_EQ(metrics.Value("kodistil_serving_texts_total"), 2);
  EXPECT_EQ(metrics.Value("kodistil_serving_cache_hits_total"), 1);
  EXPECT_EQ(metrics.Value("kodistil_serving_cache_rows"), 1);
  EXPECT_EQ(metrics.Sum("kodistil_serving_http_requests_total",
                        "path=\"/v1/classify\""),
            2);
  EXPECT_EQ(metrics.Sum("kodistil_serving_http_requests_total", "code=\"404\""),
            1);
}

TEST_F(StudentServerTest, ReadinessTurnsWithTheDrain) {
  EXPECT_EQ(Call("GET", "/healthz").status, 200);
  EXPECT_EQ(Call("GET", "/readyz").status, 200);
  const int port = server_->http()->port();
  server_->Drain();
  EXPECT_FALSE(HttpConnects(port));
  v1::ClassifyResponse response;
  EXPECT_EQ(Classify({}, &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace kodistil
