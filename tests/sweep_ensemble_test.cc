// Sweeps over weighted means of two n-gram teachers, with real processes.

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "corpus/dataset_reader.h"
#include "nlohmann/json.hpp"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// Two teachers of one dataset: "wide" sees longer pieces than "narrow".
class SweepEnsembleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewTestDir());
    DatasetOptions options;
    options.sample_rows = 2000;
    ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, nullptr));
    const std::string rows = JoinPath(*folder_, "rows.kds");
    ASSERT_OK(WriteFileAtomically(rows, SerializeDataset(dataset)));
    for (const std::string name : {"wide", "narrow"}) {
      ASSERT_OK(RunProgram(*folder_, absl::StrCat("train_", name),
                           "teacher_service/train_ngram",
                           {absl::StrCat("--dataset_file=", rows),
                            absl::StrCat("--output=", *folder_, "/", name),
                            absl::StrCat("--max_n=", name == "wide" ? 4 : 2)}));
    }
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::vector<std::string> Flags() {
    return {"--dataset=sample",
            "--sample_rows=2000",
            "--student=tiny",
            "--temperature=2",
            "--train_epoch=2",
            "--vocab_size=1000",
            "--workers=1",
            "--no_twins",
            absl::StrCat("--teacher_path=", *folder_, "/wide,", *folder_,
                         "/narrow")};
  }

  static Json Results(const SweepHarness& sweep) {
    const auto text = ReadFile(sweep.InWork("results.json"));
    EXPECT_OK(text);
    return Json::parse(*text);
  }

  // The trial of this teacher's name.
  static Json TrialOf(const Json& results, const std::string& name) {
    std::string fingerprint;
    for (const Json& teacher : results["teachers"]) {
      if (teacher["name"] == name) fingerprint = teacher["fingerprint"];
    }
    EXPECT_NE(fingerprint, "") << name;
    for (const Json& trial : results["trials"]) {
      if (trial["config"]["teacher"] == fingerprint) return trial;
    }
    ADD_FAILURE() << "no trial of " << name;
    return Json();
  }

  static std::string* folder_;
};

std::string* SweepEnsembleTest::folder_ = nullptr;

TEST_F(SweepEnsembleTest, MeanIsACellBesideItsTeachers) {
  SweepHarness sweep(Flags());
  ASSERT_EQ(sweep.Run({"--teacher=wide,narrow,0.7*wide+0.3*narrow"}), 0)
      << sweep.Output();
  const Json results = Results(sweep);
  ASSERT_EQ(results["teachers"].size(), 3u);
  const Json& mean = results["teachers"][2];
  EXPECT_EQ(mean["name"], "0.7*wide+0.3*narrow");
  EXPECT_EQ(mean["total"], results["teachers"][0]["total"]);
  EXPECT_GT(mean["accuracy"].get<double>(), 0.6);
  EXPECT_EQ(mean["members"].size(), 2u);
  EXPECT_EQ(results["trials"].size(), 3u);
  const Json trial = TrialOf(results, "0.7*wide+0.3*narrow");
  const std::string id = trial["trial_id"];
  const auto provenance = ReadFile(sweep.InWork(
      absl::StrCat("students/", id.substr(0, 12), "/provenance.json")));
  ASSERT_OK(provenance);
  EXPECT_EQ(Json::parse(*provenance)["logits"]["mean_of"].size(), 2u);
  EXPECT_THAT(*ReadFile(sweep.InWork("results.md")),
              HasSubstr("teacher=0.7*wide+0.3*narrow"));
  EXPECT_NE(trial["history"], TrialOf(results, "wide")["history"]);
  EXPECT_NE(trial["history"], TrialOf(results, "narrow")["history"]);

  // The same mean in other words is the same cell.
  ASSERT_EQ(sweep.Run({"--teacher=3*narrow+7*wide"}), 0) << sweep.Output();
  EXPECT_THAT(sweep.Output(), HasSubstr("0 cells trained now"));
  EXPECT_THAT(sweep.Output(), HasSubstr("1 of 1 cells are done"));
}

// Ids and results of cells with one teacher are what they are without means.
TEST_F(SweepEnsembleTest, TeachersAloneGiveWhatTheyGaveBefore) {
  SweepHarness with(Flags());
  ASSERT_EQ(with.Run({"--teacher=narrow,wide+narrow"}), 0) << with.Output();
  SweepHarness without(Flags());
  ASSERT_EQ(without.Run(), 0) << without.Output();
  Json a = Json::parse(with.ComparableResults());
  Json b = Json::parse(without.ComparableResults());
  EXPECT_EQ(TrialOf(a, "narrow"), TrialOf(b, "narrow"));
}

TEST_F(SweepEnsembleTest, UnknownTeacherIsNamedBeforeAnythingRuns) {
  SweepHarness sweep(Flags());
  EXPECT_EQ(sweep.Run({"--teacher=wide+tall"}), 2);
  EXPECT_THAT(sweep.Output(), HasSubstr("found 'tall'"));
}

}  // namespace
}  // namespace kodistil
