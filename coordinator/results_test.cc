#include "coordinator/results.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/grid.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using v1::Trial;

Trial DoneTrial(const v1::StudentConfig& config, int correct) {
  Trial trial;
  trial.set_trial_id(absl::StrCat("id", correct));
  *trial.mutable_config() = config;
  trial.set_state(Trial::STATE_DONE);
  trial.set_attempts(1);
  trial.mutable_result()->set_correct(correct);
  trial.mutable_result()->set_total(1000);
  trial.mutable_result()->set_parameters(27394);
  trial.mutable_result()->set_bytes(110000);
  return trial;
}

// A distilled trial, its twin, and one that failed.
SweepResults Example() {
  const auto spec = ResolveSpec({});
  SweepResults results;
  TeacherResult teacher;
  teacher.name = "선생";
  teacher.correct = 87;
  teacher.total = 100;
  results.teachers.push_back(teacher);
  for (const auto& config : ExpandGrid(*spec, {"t"})) {
    if (StudentName(config) != "Tiny") continue;
    if (config.loss_option() == "ce") {
      results.trials.push_back(DoneTrial(config, 800));
    } else if (config.temperature() == 1) {
      results.trials.push_back(DoneTrial(config, 825));
    } else {
      Trial failed;
      *failed.mutable_config() = config;
      failed.set_state(Trial::STATE_FAILED);
      failed.set_reason("the loss is nan");
      results.trials.push_back(failed);
    }
  }
  return results;
}

TEST(ResultsTest, MeanOfTeachersIsNamedAndListsThem) {
  SweepResults results = Example();
  results.teachers[0].fingerprint = "t";
  TeacherResult mean;
  mean.name = "0.7*a+0.3*b";
  mean.fingerprint = "0.3*g+0.7*f";
  mean.members = {{"g", 0.3}, {"f", 0.7}};
  results.teachers.push_back(mean);
  v1::StudentConfig config = results.trials[0].config();
  config.set_teacher(mean.fingerprint);
  results.trials.push_back(DoneTrial(config, 830));
  EXPECT_THAT(ResultsTable(results).ToText(), HasSubstr("teacher=0.7*a+0.3*b"));
  const auto json = nlohmann::json::parse(ResultsJson(results));
  EXPECT_FALSE(json["teachers"][0].contains("members"));
  const auto& members = json["teachers"][1]["members"];
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0]["fingerprint"], "g");
  EXPECT_EQ(members[1]["weight"], 0.7);
}

TEST(ResultsTest, TeacherFirstThenByAccuracyThenFailed) {
  const std::string text = ResultsTable(Example()).ToText();
  const size_t teacher = text.find("teacher 선생");
  const size_t best = text.find("82.50 %");
  const size_t twin = text.find("80.00 %");
  const size_t failed = text.find("the loss is nan");
  ASSERT_NE(failed, std::string::npos);
  EXPECT_LT(teacher, best);
  EXPECT_LT(best, twin);
  EXPECT_LT(twin, failed);
}

TEST(ResultsTest, GainIsOverTheTwin) {
  EXPECT_THAT(ResultsTable(Example()).ToText(), HasSubstr("+2.50"));
}

TEST(ResultsTest, SeveralTeachersAreToldApart) {
  SweepResults results = Example();
  EXPECT_THAT(ResultsTable(results).ToText(),
              ::testing::Not(HasSubstr("teacher=")));
  results.teachers[0].fingerprint = "t";
  results.teachers.push_back(results.teachers[0]);
  results.teachers[1].fingerprint = "u";
  results.teachers[1].name = "other";
  EXPECT_THAT(ResultsTable(results).ToText(), HasSubstr("teacher=선생"));
}

TEST(ResultsTest, JsonHasTheFieldsOfTheContract) {
  const auto json = nlohmann::json::parse(ResultsJson(Example()));
  EXPECT_EQ(json["teachers"][0]["accuracy"], 0.87);
  const auto& trial = json["trials"][0];
  EXPECT_EQ(trial["accuracy"], 0.825);
  EXPECT_EQ(trial["correct"], 825);
  EXPECT_EQ(trial["state"], "DONE");
  EXPECT_EQ(trial["config"]["hidden_dim"], 16);
  EXPECT_NEAR(trial["gain"].get<double>(), 0.025, 1e-12);
  EXPECT_EQ(json["trials"][2]["state"], "FAILED");
  EXPECT_EQ(json["trials"][2]["reason"], "the loss is nan");
}

TEST(ResultsTest, WritesThreeFiles) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteResults(Example(), folder));
  for (const char* name : {"results.json", "results.csv", "results.md"}) {
    EXPECT_TRUE(FileExists(JoinPath(folder, name))) << name;
  }
}

}  // namespace
}  // namespace kodistil
