// The page of the student server in a real browser.

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/http_testing.h"
#include "base/testing.h"
#include "nlohmann/json.hpp"
#include "serving/student_testing.h"
#include "tests/browser.h"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr char kAnswered[] =
    "!document.querySelector('#answer').hidden && "
    "document.querySelector('#answer').ariaBusy == 'false'";

class PageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(SaveRandomStudent(folder_ + "/student", 1));
    const std::string port_file = folder_ + "/http.port";
    ASSERT_OK_AND_ASSIGN(
        server_, StartServer(folder_, "serving", "serving/serving",
                             {absl::StrCat("--model=m=", folder_, "/student"),
                              "--http_port=0",
                              absl::StrCat("--http_port_file=", port_file)}));
    ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(port_file));
    ASSERT_TRUE(absl::SimpleAtoi(text, &http_port_));
    ASSERT_OK_AND_ASSIGN(browser_, Browser::Launch(folder_ + "/browser"));
    ASSERT_OK(
        browser_->Open(absl::StrCat("http://127.0.0.1:", http_port_, "/")));
    ASSERT_OK(browser_->Evaluate("document.querySelector('#review').focus()"));
  }

  Json Of(const std::string& expression) {
    const absl::StatusOr<Json> value = browser_->Evaluate(expression);
    EXPECT_OK(value);
    return value.ok() ? *value : Json();
  }

  // The probability of the text's first class, from the server itself.
  Json Ask(const std::string& text) {
    const auto answer =
        HttpCall(http_port_, "POST", "/v1/classify",
                 Json{{"texts", {text}}}.dump(), "application/json");
    EXPECT_OK(answer);
    return Json::parse(answer->body)["answers"][0];
  }

  const std::string folder_ = NewTestDir();
  ServerProcess server_;
  int http_port_ = 0;
  std::unique_ptr<Browser> browser_;
};

TEST_F(PageTest, TypingShowsTheServersAnswerAndEachWord) {
  const std::string text = "가나 다라 마바";
  ASSERT_OK(browser_->Type(text));
  ASSERT_OK(browser_->WaitFor(kAnswered));
  const Json answer = Ask(text);
  const double probability =
      answer["probabilities"][answer["label"].get<int>()];
  double shown = 0;
  const std::string percent =
      Of("document.querySelector('#verdict-probability').textContent"
         ".match(/[0-9.]+/)[0]");
  ASSERT_TRUE(absl::SimpleAtod(percent, &shown));
  EXPECT_NEAR(shown, 100 * probability, 0.06);
  EXPECT_EQ(Of("document.querySelector('#weights-body').rows.length"), 3);
  EXPECT_EQ(Of("document.querySelector('#words').textContent"), text);
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

TEST_F(PageTest, HostileTextStaysText) {
  const std::string hostile = "<img src=x onerror=\"document.title='bad'\">";
  const Json images = Of("document.images.length");
  ASSERT_OK(browser_->Type(hostile));
  ASSERT_OK(browser_->WaitFor(kAnswered));
  EXPECT_EQ(Of("document.querySelector('#words').textContent"), hostile);
  EXPECT_EQ(Of("document.images.length"), images);
  EXPECT_NE(Of("document.title"), "bad");
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

// The control: what the page does not do would be seen.
TEST_F(PageTest, PolicyRefusesWhatAPageWithMarkupWouldRun) {
  Of("document.body.insertAdjacentHTML('beforeend', "
     "'<img src=x onerror=\"document.title=1\">')");
  ASSERT_OK(browser_->WaitFor("document.images.length == 2"));
  EXPECT_TRUE(PollUntil(absl::Seconds(20), [this] {
    Of("1");
    return !browser_->TakeErrors().empty();
  }));
  EXPECT_NE(Of("document.title"), "1");
}

TEST_F(PageTest, LinesBecomeATableAndSwitchesWork) {
  ASSERT_OK(browser_->Evaluate(
      "(() => { const r = document.querySelector('#review');"
      " r.value = '가나\\n=다라\\n마바';"
      " r.dispatchEvent(new Event('input', {bubbles: true})); })()"));
  ASSERT_OK(browser_->WaitFor(
      "document.querySelector('#table-body').rows.length == 3"));
  ASSERT_OK(browser_->Click("[data-language=en]"));
  EXPECT_EQ(Of("document.documentElement.lang"), "en");
  ASSERT_OK(browser_->Click("#download"));
  const std::string saved = browser_->downloads() + "/reviews.csv";
  // The browser makes the file before it writes the bytes.
  std::string csv;
  EXPECT_TRUE(PollUntil(absl::Seconds(30), [&] {
    csv = ReadFile(saved).value_or("");
    return absl::StrContains(csv, "마바");
  })) << csv;
  EXPECT_THAT(csv, StartsWith("\xef\xbb\xbf"));
  EXPECT_THAT(csv, HasSubstr("'=다라")) << "a formula for a spreadsheet";
  const Json before = Of("getComputedStyle(document.body).backgroundColor");
  ASSERT_OK(browser_->Click("#theme"));
  ASSERT_OK(browser_->WaitFor(absl::StrCat(
      "getComputedStyle(document.body).backgroundColor != ", before.dump())));
  ASSERT_OK(browser_->SetViewport(390, 844));
  EXPECT_EQ(Of("document.documentElement.scrollWidth <= 390"), true);
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

}  // namespace
}  // namespace kodistil
