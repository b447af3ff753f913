// The report of a sweep in a real browser: every plot, the table, the policy,
// the page that follows the sweep; and its best student on the student's page.

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/http_testing.h"
#include "base/testing.h"
#include "coordinator/paired_test.h"
#include "coordinator/report.h"
#include "corpus/predictions.h"
#include "tests/browser.h"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;

// Of SmallSweep: sizes times (two temperatures and "mse") times loss rates, and
// a plain twin of each size.
constexpr int kDistilled = 2 * 3 * 2;
constexpr int kTrials = kDistilled + 2;

// Trained once for all tests.
const SweepHarness& SmallSweep() {
  static const auto* const sweep = [] {
    auto* const harness = new SweepHarness(
        {"--dataset=sample", "--sample_rows=8000", "--student=tiny,small",
         "--temperature=1,2", "--loss_rate=0.1,0.5", "--loss_option=kl_div,mse",
         "--train_epoch=3", "--lr=0.005", "--vocab_size=1000", "--workers=2"});
    EXPECT_EQ(harness->Run(), 0) << harness->Output();
    return harness;
  }();
  return *sweep;
}

std::string ReportOfSmallSweep() { return SmallSweep().InWork("report.html"); }

class ReportBrowserTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(browser_,
                         Browser::Launch(JoinPath(NewTestDir(), "browser")));
    ASSERT_OK(browser_->SetViewport(1280, 900));
  }

  void Open(const std::string& path) {
    ASSERT_OK(browser_->Open(absl::StrCat("file://", path)));
  }

  // Null when the expression throws, which fails the test.
  Json Eval(const std::string& expression) {
    const auto value = browser_->Evaluate(expression);
    EXPECT_OK(value) << expression;
    return value.ok() ? *value : Json();
  }

  int Count(const std::string& selector) {
    return Eval(absl::StrCat("document.querySelectorAll('", selector,
                             "').length"))
        .get<int>();
  }

  // The texts of the elements, joined.
  std::string Texts(const std::string& selector) {
    return Eval(absl::StrCat("Array.from(document.querySelectorAll('", selector,
                             "')).map((e) => e.textContent).join('\\n')"))
        .get<std::string>();
  }

  // The column's cells, top down.
  std::vector<std::string> Column(const std::string& title) {
    return Eval(absl::StrCat(
                    "(() => { const heads = Array.from(document"
                    ".querySelectorAll('thead th')).map((e) => e.textContent);"
                    " const i = heads.indexOf('",
                    title,
                    "'); return Array.from(document.querySelectorAll("
                    "'tbody tr')).map((e) => e.cells[i].textContent); })()"))
        .get<std::vector<std::string>>();
  }

  // As a person does in the two lists below the ties.
  void Choose(const std::string& id, const std::string& key) {
    Eval(absl::StrCat("(() => { const e = document.getElementById('", id,
                      "'); e.value = '", key,
                      "'; e.dispatchEvent(new Event('change')); })()"));
  }

  std::unique_ptr<Browser> browser_;
};

struct Plot {
  std::string id;
  std::vector<std::string> labels;
  std::string marks;
  int count;
};

TEST_F(ReportBrowserTest, EveryPlotIsThereWithAxesAndUnits) {
  Open(ReportOfSmallSweep());
  const std::vector<Plot> plots = {
      {"parameters",
       {"test accuracy [%]", "parameters (log)"},
       ".mark",
       kTrials},
      {"time",
       {"test accuracy [%]", "training time [s] (log)"},
       ".mark",
       kTrials},
      {"curves",
       {"validation accuracy [%]", "training loss (mean over rows)", "epoch"},
       ".curve",
       2 * kTrials},
      {"parallel",
       {"hidden_dim", "embedding_dim", "loss_option", "loss_rate",
        "temperature", "parameters", "accuracy [%]"},
       ".curve",
       kTrials},
      {"gains",
       {"gain in test accuracy [percentage points]"},
       ".whisker",
       kDistilled},
      // The teacher and the trials, each with each of the others, and the key.
      {"ties",
       {"compared with the model of that number"},
       ".cell",
       (kTrials + 1) * kTrials + 3},
  };
  for (const Plot& plot : plots) {
    const std::string labels = Texts(absl::StrCat("#", plot.id, " .label"));
    for (const std::string& label : plot.labels) {
      EXPECT_THAT(labels, HasSubstr(label)) << plot.id;
    }
    EXPECT_EQ(Count(absl::StrCat("#", plot.id, " svg ", plot.marks)),
              plot.count)
        << plot.id;
    if (plot.id == "ties") continue;
    EXPECT_GT(Count(absl::StrCat("#", plot.id, " .axis .tick")), 3) << plot.id;
  }
  EXPECT_EQ(Count("#parameters .front"), 1);
  EXPECT_EQ(Count("#parameters line.teacher"), 1);
  EXPECT_THAT(Texts("#summary"), HasSubstr(absl::StrCat(kTrials, " done")));
  // Nothing on a plot is out of its place for want of a number.
  EXPECT_THAT(
      Eval("document.querySelector('main').outerHTML").get<std::string>(),
      Not(HasSubstr("NaN")));
  ASSERT_OK(browser_->KeepScreenshot("report-1280"));
  for (const char* part :
       {"table", "parameters", "curves", "parallel", "gains", "ties"}) {
    ASSERT_OK(browser_->KeepScreenshot(
        absl::StrCat("report-", part),
        absl::StrCat("section[aria-labelledby=h-", part, "]")));
  }
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

TEST_F(ReportBrowserTest, TableSortsAndFilters) {
  Open(ReportOfSmallSweep());
  const std::vector<std::string> before = Column("accuracy");
  ASSERT_EQ(before.size(), kTrials + 1u) << "and the teacher";
  const std::string head = "thead th:nth-child(8)";
  ASSERT_EQ(Texts(head), "accuracy");
  ASSERT_OK(browser_->Click(head + " button"));
  EXPECT_EQ(
      Eval("document.querySelector('" + head + "').getAttribute('aria-sort')"),
      "descending");
  std::vector<std::string> sorted = before;
  // All have two digits before the point.
  std::sort(sorted.rbegin(), sorted.rend());
  EXPECT_EQ(Column("accuracy"), sorted);
  // By keyboard too.
  ASSERT_OK(browser_->Press("Enter"));
  std::reverse(sorted.begin(), sorted.end());
  ASSERT_NE(sorted.front(), sorted.back());
  EXPECT_EQ(Column("accuracy"), sorted);
  ASSERT_OK(browser_->Click("#filter"));
  ASSERT_OK(browser_->Type("tiny T=2"));
  EXPECT_EQ(Texts("#shown"), absl::StrCat("2 of ", kTrials, " trials"));
  EXPECT_EQ(Count("tbody tr"), 2);
  EXPECT_EQ(Count("#parameters .mark.dim"), kTrials - 2);
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

TEST_F(ReportBrowserTest, TiesAreThoseOfThePredictions) {
  const SweepHarness& sweep = SmallSweep();
  Open(ReportOfSmallSweep());
  // What the page calls a model -> the file of its predictions.
  std::vector<std::pair<std::string, std::string>> models;
  const Json results = Json::parse(*ReadFile(sweep.InWork("results.json")));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> files,
                       ListDirectory(sweep.InWork("teachers")));
  for (const std::string& name : files) {
    if (!absl::EndsWith(name, kPredictionsFile)) continue;
    models.emplace_back(results["teachers"][0]["fingerprint"],
                        sweep.InWork("teachers/" + name));
  }
  ASSERT_EQ(models.size(), 1u) << "one teacher";
  for (const std::string& id : sweep.TrialIds()) {
    models.emplace_back(
        id, sweep.InWork(absl::StrCat("students/", id.substr(0, 12), "/",
                                      kPredictionsFile)));
  }
  ASSERT_EQ(models.size(), kTrials + 1u);
  const auto bits = [&](const std::string& path) {
    return PredictionBits(*ParsePredictions(*ReadFile(path), path));
  };
  const auto& [best, best_path] = models[1];
  std::set<bool> ties;
  for (const auto& [key, path] : models) {
    if (key == best) continue;
    const PairedCounts counts = CountPaired(bits(best_path), bits(path));
    const double p = McNemarExact(counts.only_first, counts.only_second);
    Choose("first", best);
    Choose("second", key);
    const std::string verdict = Texts("#verdict");
    EXPECT_THAT(
        verdict,
        HasSubstr(absl::StrFormat(
            ": %d test rows are right by the first alone, %d by the "
            "second alone, %s.",
            counts.only_first, counts.only_second,
            p < 0.0001 ? "p < 0.0001" : absl::StrFormat("p = %.4f", p))));
    EXPECT_EQ(verdict.find(" tie: ") != std::string::npos, p >= 0.05)
        << verdict;
    ties.insert(p >= 0.05);
  }
  EXPECT_EQ(ties.size(), 2u) << "some tie, some differ";
}

TEST_F(ReportBrowserTest, ReadableOnAPhoneInTheDarkAndOnPaper) {
  Open(ReportOfSmallSweep());
  const std::string background =
      "getComputedStyle(document.body).backgroundColor";
  EXPECT_EQ(Eval(background), "rgb(255, 255, 255)");
  ASSERT_OK(browser_->PreferDark(true));
  EXPECT_EQ(Eval(background), "rgb(13, 17, 23)");
  ASSERT_OK(browser_->KeepScreenshot("report-dark"));
  ASSERT_OK(browser_->Call("Emulation.setEmulatedMedia", {{"media", "print"}}));
  EXPECT_EQ(Eval(background), "rgb(255, 255, 255)");
  EXPECT_EQ(Eval("getComputedStyle(document.querySelector('.controls'))"
                 ".display"),
            "none");
  ASSERT_OK(browser_->Call("Emulation.setEmulatedMedia", {{"media", ""}}));
  ASSERT_OK(browser_->SetViewport(390, 844));
  Open(ReportOfSmallSweep());
  EXPECT_LE(Eval("document.documentElement.scrollWidth").get<int>(), 390);
  EXPECT_GE(Eval("document.querySelector('#parameters svg')"
                 ".getBoundingClientRect().width")
                .get<int>(),
            640)
      << "letters shrink with the plot";
  ASSERT_OK(browser_->KeepScreenshot("report-390"));
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

TEST_F(ReportBrowserTest, TextOfTrialsStaysText) {
  const std::string hostile =
      "<img src=x onerror=alert(1)></script><script>alert(2)</script>";
  SweepResults results;
  results.dataset = hostile;
  TeacherResult teacher;
  teacher.name = hostile;
  teacher.fingerprint = "t";
  results.teachers.push_back(teacher);
  v1::Trial failed;
  failed.set_trial_id("f");
  failed.set_state(v1::Trial::STATE_FAILED);
  failed.set_reason(hostile);
  results.trials.push_back(failed);
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteReport(results, folder));
  Open(JoinPath(folder, "report.html"));
  EXPECT_EQ(Count("img"), 0);
  EXPECT_EQ(Count("script"), 3);
  EXPECT_THAT(Texts("h1"), HasSubstr(hostile));
  EXPECT_THAT(Texts("tbody"), HasSubstr(hostile));
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

// What the tests above would see if the page were wrong.
TEST_F(ReportBrowserTest, WhatDoesNotBelongIsRefused) {
  const std::string page = *ReadFile(ReportOfSmallSweep());
  const std::string path = JoinPath(NewTestDir(), "report.html");
  for (const char* added : {"<script>document.title = 'x'</script></body>",
                            "<img src=\"http://127.0.0.1:9/x.png\"></body>"}) {
    const std::string other =
        absl::StrReplaceAll(page, {{"</body>\n", absl::StrCat(added, "\n")}});
    ASSERT_NE(other, page);
    ASSERT_OK(WriteFileAtomically(path, other));
    Open(path);
    EXPECT_NE(Eval("document.title"), "x");
    EXPECT_THAT(browser_->TakeErrors(), Not(IsEmpty())) << added;
  }
}

TEST_F(ReportBrowserTest, DashboardFollowsASweepToItsEnd) {
  SweepHarness sweep({"--dataset=sample", "--sample_rows=2000",
                      "--student=tiny", "--temperature=1,2", "--no_twins",
                      "--train_epoch=80", "--heartbeat=100ms",
                      "--vocab_size=1000", "--workers=1"});
  const std::string port_file = JoinPath(NewTestDir(), "port");
  const auto coordinator =
      sweep.Start({"--dashboard_port=0",
                   absl::StrCat("--dashboard_port_file=", port_file)});
  int port = 0;
  ASSERT_TRUE(PollUntil(absl::Minutes(1), [&] {
    const auto text = ReadFile(port_file);
    return text.ok() && absl::SimpleAtoi(*text, &port);
  })) << sweep.Output();
  ASSERT_OK(browser_->Open(absl::StrCat("http://127.0.0.1:", port, "/")));
  const std::string status = "document.getElementById('status').textContent";
  // Plots grow before there is a result, and the status says how it stands.
  ASSERT_OK(browser_->WaitFor(
      absl::StrCat(status, ".includes('The sweep runs') && ", status,
                   ".includes('1 run on 1 worker') && "
                   "document.querySelectorAll('#curves .curve').length > 0 && "
                   "document.querySelectorAll('#parameters .mark').length < 2"),
      status));
  ASSERT_OK(browser_->WaitFor(
      absl::StrCat(status, " === 'The sweep has ended.'"), status));
  EXPECT_EQ(Count("#parameters .mark"), 2);
  EXPECT_THAT(Texts("#summary"), HasSubstr("2 done"));
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output();
  EXPECT_FALSE(HttpConnects(port));
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

TEST_F(ReportBrowserTest, DashboardBeyondLoopbackIsRefused) {
  SweepHarness sweep({"--dataset=sample"});
  EXPECT_EQ(sweep.Run({"--dashboard_port=0", "--dashboard_host=0.0.0.0"}), 2);
  EXPECT_THAT(sweep.Output(), HasSubstr("--dashboard_host"));
}

// From the sweep to whoever types a review.
TEST_F(ReportBrowserTest, BestStudentIsServedOnItsPage) {
  const SweepHarness& sweep = SmallSweep();
  const std::string folder = NewTestDir();
  const std::string port_file = JoinPath(folder, "http.port");
  ASSERT_OK_AND_ASSIGN(
      const ServerProcess server,
      StartServer(
          folder, "serving", "serving/serving",
          {absl::StrCat(
               "--model=best=",
               sweep.InWork(absl::StrCat(
                   "students/", sweep.TrialIds().at(0).substr(0, 12)))),
           "--http_port=0", absl::StrCat("--http_port_file=", port_file)}));
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(port_file));
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(text, &port));
  ASSERT_OK(browser_->Open(absl::StrCat("http://127.0.0.1:", port, "/")));
  ASSERT_OK(browser_->Click("#review"));
  ASSERT_OK(browser_->Type("배우들 연기가 감동적이고 정말 재미있다"));
  ASSERT_OK(browser_->WaitFor(
      "!document.querySelector('#answer').hidden && "
      "document.querySelector('#answer').ariaBusy == 'false'"));
  EXPECT_EQ(Texts("#verdict-name"), "긍정");
  EXPECT_EQ(Count("#weights-body tr"), 5);
  EXPECT_THAT(Texts("#card"), HasSubstr("sample"));
  ASSERT_OK(browser_->KeepScreenshot("page-1280"));
  ASSERT_OK(browser_->SetViewport(390, 844));
  ASSERT_OK(browser_->KeepScreenshot("page-390"));
  EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
}

}  // namespace
}  // namespace kodistil
