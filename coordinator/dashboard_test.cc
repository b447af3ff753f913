#include "coordinator/dashboard.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/http_testing.h"
#include "base/testing.h"
#include "coordinator/report.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using v1::Trial;
using Json = nlohmann::json;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

class DashboardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    DashboardOptions options;
    options.port = 0;
    ASSERT_OK_AND_ASSIGN(dashboard_, Dashboard::Start(options, Source()));
  }

  // One trial, whose epoch is the version.
  DashboardSource Source() {
    DashboardSource source;
    source.version = [this] { return version_.load(); };
    source.add_trials = [this](SweepResults* results) {
      ++made_;
      Trial trial;
      trial.set_trial_id("a");
      trial.set_state(Trial::STATE_RUNNING);
      trial.set_epoch(version_);
      results->trials.push_back(trial);
    };
    source.status = [] {
      return std::vector<std::string>{"training: \"1\" cell", "한 줄"};
    };
    return source;
  }

  RawHttpAnswer Get(const std::string& path) {
    const auto answer = HttpCall(dashboard_->port(), "GET", path);
    EXPECT_OK(answer);
    return answer.ok() ? *answer : RawHttpAnswer();
  }

  Json GetJson(const std::string& path) {
    const RawHttpAnswer answer = Get(path);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.headers.at("content-type"),
              "application/json; charset=utf-8");
    return Json::parse(answer.body);
  }

  std::atomic<uint64_t> version_{1};
  std::atomic<int> made_{0};  // how often results were asked for
  std::unique_ptr<Dashboard> dashboard_;
};

TEST_F(DashboardTest, PageHasThePresentDataAndAsksForMore) {
  const RawHttpAnswer page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("data-live=\"true\""));
  EXPECT_THAT(page.body, HasSubstr(Get("/data.json").body));
}

TEST_F(DashboardTest, AnswersHaveAStrictPolicy) {
  const std::string policy =
      absl::StrCat(ReportPolicy(ReportKind::kLive), "; frame-ancestors 'none'");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("script-src 'sha256-"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  for (const char* path : {"/", "/status.json", "/data.json"}) {
    const RawHttpAnswer answer = Get(path);
    EXPECT_EQ(answer.headers.at("content-security-policy"), policy) << path;
    EXPECT_EQ(answer.headers.at("referrer-policy"), "no-referrer");
    EXPECT_EQ(answer.headers.at("cache-control"), "no-store");
    EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
  }
}

TEST_F(DashboardTest, NothingElseIsAnswered) {
  EXPECT_EQ(Get("/results.json").status, 404);
  EXPECT_EQ(Get("/../report.html").status, 404);
  const auto post = HttpCall(dashboard_->port(), "POST", "/data.json");
  ASSERT_OK(post);
  EXPECT_EQ(post->status, 405);
}

TEST_F(DashboardTest, StatusIsThatOfNow) {
  const Json status = GetJson("/status.json");
  EXPECT_EQ(status["lines"], Json({"training: \"1\" cell", "한 줄"}));
  EXPECT_EQ(GetJson("/status.json")["version"], status["version"]);
  version_ = 2;
  EXPECT_NE(GetJson("/status.json")["version"], status["version"]);
}

TEST_F(DashboardTest, DataAreMadeAnewWhenSomethingHasChanged) {
  EXPECT_EQ(GetJson("/data.json")["running"][0]["epoch"], 1);
  GetJson("/data.json");
  Get("/");
  EXPECT_EQ(made_, 1) << "nothing has changed";
  version_ = 2;
  EXPECT_EQ(GetJson("/data.json")["running"][0]["epoch"], 2);
  EXPECT_EQ(made_, 2);
}

TEST_F(DashboardTest, DatasetAndTeachersAreShownOnceTheyAreKnown) {
  EXPECT_EQ(GetJson("/data.json")["results"]["dataset"], "");
  const Json before = GetJson("/status.json")["version"];
  SweepResults base;
  base.dataset = "nsmc";
  base.teachers.emplace_back().name = "ngram";
  dashboard_->Show(base);
  EXPECT_NE(GetJson("/status.json")["version"], before);
  const Json results = GetJson("/data.json")["results"];
  EXPECT_EQ(results["dataset"], "nsmc");
  EXPECT_EQ(results["teachers"][0]["name"], "ngram");
  EXPECT_EQ(results["trials"].size(), 1u);
}

TEST_F(DashboardTest, NobodyIsWaitedForWhenNobodyFollows) {
  // Mailed to a colleague, saved by a script: that is no page that follows.
  Get("/data.json");
  version_ = 2;
  dashboard_->WaitForViewers(absl::InfiniteDuration());
}

TEST_F(DashboardTest, WhoFollowsSeesTheEnd) {
  GetJson("/status.json");
  GetJson("/data.json");
  dashboard_->WaitForViewers(absl::InfiniteDuration());  // nothing is new
  version_ = 2;
  absl::Notification over;
  std::thread end([&] {
    dashboard_->WaitForViewers(absl::InfiniteDuration());
    over.Notify();
  });
  EXPECT_FALSE(over.WaitForNotificationWithTimeout(absl::Milliseconds(50)));
  GetJson("/status.json");
  EXPECT_FALSE(over.HasBeenNotified()) << "the page has not got the data";
  GetJson("/data.json");
  end.join();
  version_ = 3;
  dashboard_->WaitForViewers(absl::Milliseconds(10));  // not for ever
}

TEST(DashboardOptionsTest, BeyondLoopbackMustBeAskedFor) {
  DashboardOptions options;
  options.host = "0.0.0.0";
  EXPECT_OK(options.Validate()) << "nothing listens";
  options.port = 8080;
  EXPECT_EQ(options.Validate().code(), kInvalid);
  EXPECT_THAT(std::string(options.Validate().message()),
              HasSubstr("--insecure"));
  options.insecure = true;
  EXPECT_OK(options.Validate());
  options.port = 65536;
  EXPECT_EQ(options.Validate().code(), kInvalid);
}

TEST_F(DashboardTest, APortThatIsTakenIsNamed) {
  DashboardOptions options;
  options.port = dashboard_->port();
  const auto second = Dashboard::Start(options, Source());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(dashboard_->address()));
}

TEST_F(DashboardTest, WritesItsPort) {
  DashboardOptions options;
  options.port = 0;
  options.port_file = JoinPath(NewTestDir(), "port");
  const auto other = Dashboard::Start(options, Source());
  ASSERT_OK(other);
  EXPECT_EQ(*ReadFile(options.port_file), absl::StrCat((*other)->port(), "\n"));
}

}  // namespace
}  // namespace kodistil
