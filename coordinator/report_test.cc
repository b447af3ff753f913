#include "coordinator/report.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/grid.h"
#include "coordinator/paired_test.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using v1::Trial;
using Json = nlohmann::json;

constexpr size_t kRows = 100;

// Right on the rows from `begin` to `end`.
std::shared_ptr<const PredictionBits> Right(size_t begin, size_t end) {
  Predictions predictions(kRows);
  for (size_t i = begin; i < end; ++i) predictions[i] = true;
  return std::make_shared<const PredictionBits>(predictions);
}

Trial DoneTrial(const std::string& id, const v1::StudentConfig& config,
                uint64_t correct) {
  Trial trial;
  trial.set_trial_id(id);
  *trial.mutable_config() = config;
  trial.set_state(Trial::STATE_DONE);
  trial.mutable_result()->set_correct(correct);
  trial.mutable_result()->set_total(kRows);
  return trial;
}

// "good" is right on 10 rows that its twin "twin" has wrong and wrong on 2 that
// it has right; "again" has the same answers as "good" but for one row.
SweepResults Example() {
  v1::SweepSpec spec;
  spec.add_student("tiny");
  spec.add_temperature(1);
  spec.add_temperature(2);
  SweepResults results;
  results.dataset = "</script><b>리뷰";
  TeacherResult teacher;
  teacher.name = "ngram";
  teacher.fingerprint = "t";
  teacher.correct = 90;
  teacher.total = kRows;
  teacher.predictions = Right(0, 90);
  results.teachers.push_back(teacher);
  for (const auto& config : ExpandGrid(*ResolveSpec(spec), {"t"})) {
    if (config.loss_option() == "ce") {
      results.trials.push_back(DoneTrial("twin", config, 72));
    } else if (config.temperature() == 1) {
      results.trials.push_back(DoneTrial("good", config, 80));
    } else {
      results.trials.push_back(DoneTrial("again", config, 79));
    }
  }
  results.predictions["good"] = Right(0, 80);
  results.predictions["again"] = Right(0, 79);
  results.predictions["twin"] = Right(10, 82);
  return results;
}

Json Data(const SweepResults& results) {
  return Json::parse(ReportDataJson(results));
}

TEST(ReportTest, DataHoldTheResultsAsTheyAreInTheirFile) {
  const SweepResults results = Example();
  const Json data = Data(results);
  EXPECT_EQ(data["results"], Json::parse(ResultsJson(results)));
  EXPECT_EQ(data["ended"], true);
}

TEST(ReportTest, GainIsComparedWithTheTwinRowByRow) {
  const Json data = Data(Example());
  ASSERT_EQ(data["gains"].size(), 2u);
  const Json* found = nullptr;
  for (const Json& gain : data["gains"]) {
    if (gain["trial_id"] == "good") found = &gain;
  }
  ASSERT_NE(found, nullptr);
  const Json& gain = *found;
  EXPECT_EQ(gain["twin_id"], "twin");
  EXPECT_EQ(gain["only_first"], 10);
  EXPECT_EQ(gain["only_second"], 2);
  EXPECT_NEAR(gain["difference"].get<double>(), 0.08, 1e-12);
  // 2 (1 + 12 + 66) / 2^12
  EXPECT_NEAR(gain["p"].get<double>(), 158 / 4096.0, 1e-12);
  EXPECT_GT(gain["low"].get<double>(), 0);
  EXPECT_LT(gain["low"].get<double>(), 0.08);
  EXPECT_GT(gain["high"].get<double>(), 0.08);
}

TEST(ReportTest, EveryPairIsComparedTheTeacherFirst) {
  const Json data = Data(Example());
  EXPECT_EQ(data["compared"], Json({"t", "good", "again", "twin"}));
  ASSERT_EQ(data["pairs"].size(), 6u);
  // The teacher and "good": ten rows, all the teacher's.
  EXPECT_EQ(data["pairs"][0][2], 10);
  EXPECT_EQ(data["pairs"][0][3], 0);
  EXPECT_NEAR(data["pairs"][0][4].get<double>(), 2 / 1024.0, 1e-12);
  // "good" and "again": one row, a tie.
  EXPECT_EQ(data["pairs"][3][4], 1);
  ASSERT_EQ(data["best"].size(), 2u);
  EXPECT_EQ(data["best"][0]["trial_id"], "again");
  EXPECT_EQ(data["best"][0]["p"], 1);
}

TEST(ReportTest, TrialsWithoutPredictionsAreNotCompared) {
  SweepResults results = Example();
  results.predictions.erase("good");
  results.predictions["twin"] =
      std::make_shared<const PredictionBits>(Predictions(7));
  const Json data = Data(results);
  EXPECT_EQ(data["compared"], Json({"t", "again"}));
  EXPECT_EQ(data["gains"].size(), 0u) << "the twin's rows are others";
  EXPECT_EQ(data["results"]["trials"].size(), 3u);
}

TEST(ReportTest, RunningTrialsShowTheirEpochs) {
  SweepResults results = Example();
  Trial& trial = results.trials[0];
  trial.set_state(Trial::STATE_RUNNING);
  trial.set_epoch(2);
  trial.add_history()->set_epoch(1);
  const Json data = Data(results);
  EXPECT_EQ(data["ended"], false);
  ASSERT_EQ(data["running"].size(), 1u);
  EXPECT_EQ(data["running"][0]["trial_id"], trial.trial_id());
  EXPECT_EQ(data["running"][0]["history"].size(), 1u);
}

TEST(ReportTest, WhatHasNoTrialsYetHasNotEnded) {
  EXPECT_EQ(Data(SweepResults())["ended"], false);
}

TEST(ReportTest, NoTextLeavesItsElement) {
  const std::string page =
      ReportPage(ReportDataJson(Example()), ReportKind::kFile);
  EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003cb>리뷰"));
  EXPECT_THAT(page, Not(HasSubstr("</script><b>")));
  // What stands in for the parts is gone, and text that looks like it stays.
  for (const char* part : {"{{POLICY}}", "{{LIVE}}", "{{STYLE}}", "{{DATA}}",
                           "{{LIBRARY}}", "{{SCRIPT}}"}) {
    EXPECT_THAT(page, Not(HasSubstr(part)));
  }
  EXPECT_THAT(ReportPage("{\"a\":\"{{STYLE}}\"}", ReportKind::kFile),
              HasSubstr("{\"a\":\"{{STYLE}}\"}"));
}

TEST(ReportTest, PageLoadsNothingFromElsewhere) {
  const std::string page = ReportPage("{}", ReportKind::kFile);
  for (const char* needle : {" src=", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(needle)));
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, HasSubstr("connect-src 'none'"));
  EXPECT_THAT(page, HasSubstr("d3js.org"));
  EXPECT_THAT(page, HasSubstr("License: BSD-3-Clause"));
  EXPECT_THAT(ReportPage("{}", ReportKind::kLive),
              HasSubstr("connect-src 'self'"));
}

TEST(ReportTest, WritesItsFile) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteReport(Example(), folder));
  EXPECT_THAT(*ReadFile(JoinPath(folder, "report.html")),
              HasSubstr("<!DOCTYPE html>"));
  EXPECT_THAT(*ReadFile(JoinPath(folder, "report.html")),
              HasSubstr("data-live=\"false\""));
}

}  // namespace
}  // namespace kodistil
