// The student server as a process: a model replaced under load, and SIGTERM.

#include <signal.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/http_testing.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/serving.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "serving/student_testing.h"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr char kRequest[] = R"({"texts": ["영화가 정말 최고!"]})";

class ServingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(SaveRandomStudent(student_, 1));
    const std::string port_file = folder_ + "/http.port";
    ASSERT_OK_AND_ASSIGN(
        server_,
        StartServer(folder_, "serving", "serving/serving",
                    {absl::StrCat("--model=m=", student_), "--http_port=0",
                     "--cache_rows=0", "--reload_interval=10ms",
                     absl::StrCat("--http_port_file=", port_file)}));
    ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(port_file));
    ASSERT_TRUE(absl::SimpleAtoi(text, &http_port_));
  }

  Json Get(const std::string& path) {
    const auto answer = HttpCall(http_port_, "GET", path);
    EXPECT_OK(answer);
    return Json::parse(answer->body);
  }

  const std::string folder_ = NewTestDir();
  const std::string student_ = folder_ + "/student";
  ServerProcess server_;
  int http_port_ = 0;
};

// No request fails and each answer is one model's or the other's.
TEST_F(ServingTest, AModelIsReplacedUnderLoad) {
  const std::string digest = Get("/v1/model")["digest"];
  const auto answer_now = [this] {
    const auto answer = HttpCall(http_port_, "POST", "/v1/classify", kRequest,
                                 "application/json");
    EXPECT_OK(answer);
    EXPECT_EQ(answer->status, 200) << answer->body;
    return answer->body;
  };
  const std::string before = answer_now();
  std::atomic<bool> over{false};
  std::string others;
  std::thread load([&] {
    std::string after;
    while (!over) {
      const std::string answer = answer_now();
      if (answer == before) continue;
      if (after.empty()) after = answer;
      if (answer != after) others += answer;
    }
  });
  ASSERT_OK(SaveRandomStudent(student_, 2));
  EXPECT_TRUE(PollUntil(absl::Minutes(1),
                        [&] { return Get("/v1/model")["digest"] != digest; }));
  EXPECT_NE(answer_now(), before);
  over = true;
  load.join();
  EXPECT_EQ(others, "");
}

TEST_F(ServingTest, SigtermFinishesWhatIsInFlight) {
  // Half a request, which is in flight from the server's side.
  RawHttpClient slow(http_port_);
  const std::string body = kRequest;
  slow.Send(
      absl::StrCat("POST /v1/classify HTTP/1.1\r\nHost: x\r\n"
                   "Content-Type: application/json\r\nContent-Length: ",
                   body.size(), "\r\nExpect: 100-continue\r\n\r\n"));
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer leave, slow.Receive(false));
  ASSERT_EQ(leave.status, 100);
  RawHttpClient idle(http_port_);
  idle.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_OK(idle.Receive());
  server_.process->Signal(SIGTERM);
  EXPECT_TRUE(idle.ClosedByServer());
  slow.Send(body);
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, slow.Receive());
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(slow.ClosedByServer());
  server_.process->Wait();
  EXPECT_EQ(server_.process->exit_code(), 0);
  EXPECT_FALSE(HttpConnects(http_port_));
}

TEST_F(ServingTest, GrpcHasHealthAndAnswers) {
  const auto stub = v1::SentimentService::NewStub(NewChannel(server_.address));
  v1::ClassifyRequest request;
  request.add_texts("영화");
  v1::ClassifyResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub->Classify(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "m");
}

}  // namespace
}  // namespace kodistil
