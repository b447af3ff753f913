// Every architecture against what Hugging Face computed.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/testing.h"
#include "teacher_service/check.h"
#include "teacher_service/gradient_check.h"
#include "teacher_service/transformer_network.h"

namespace kodistil {
namespace {

class GoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  std::string dir() const { return JoinPath(GoldenDir(), GetParam()); }

  absl::StatusOr<std::vector<CheckCase>> ReadCases() const {
    absl::StatusOr<std::string> json = ReadFile(JoinPath(dir(), "cases.json"));
    if (!json.ok()) return json.status();
    return ParseCheckCases(*json, "cases.json");
  }
};

// Every row in its batch, alone, and beside a longer one.
TEST_P(GoldenTest, LogitsAreHuggingFaces) {
  REQUIRE_DATA_OR_SKIP();
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckCase> cases, ReadCases());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TransformerNetwork> network,
                       LoadTransformer(dir(), "cpu"));
  ASSERT_OK_AND_ASSIGN(const CheckReport report,
                       CheckNetwork(cases, network.get()));
  EXPECT_GE(report.cases.size(), 8u);
  EXPECT_LE(report.largest, 1e-4) << FormatReport(report, 1e-4);
}

// The same network as training has it: without fused weights.
TEST_P(GoldenTest, LogitsOfTrainingAreHuggingFaces) {
  REQUIRE_DATA_OR_SKIP();
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckCase> cases, ReadCases());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TransformerNetwork> network,
                       LoadTransformerForTraining(dir(), TrainingOptions()));
  ASSERT_OK_AND_ASSIGN(const CheckReport report,
                       CheckNetwork(cases, network.get()));
  EXPECT_LE(report.largest, 1e-4) << FormatReport(report, 1e-4);
}

TEST_P(GoldenTest, GradientsAreHuggingFaces) {
  REQUIRE_DATA_OR_SKIP();
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckCase> cases, ReadCases());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TransformerNetwork> network,
                       LoadTransformerForTraining(dir(), TrainingOptions()));
  ASSERT_OK_AND_ASSIGN(
      const std::vector<GradientReport> reports,
      CheckGradients(cases, GradientTolerance(), network.get()));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_GT(reports[0].parameters, 25);
  EXPECT_TRUE(GradientsPass(reports)) << FormatGradients(reports);
}

// Files that older versions of Hugging Face and PyTorch wrote.
TEST_P(GoldenTest, PyTorchFilesGiveTheSameLogits) {
  REQUIRE_DATA_OR_SKIP();
  const std::string golden = JoinPath(GoldenDir(), GetParam());
  ASSERT_OK_AND_ASSIGN(const std::string json,
                       ReadFile(JoinPath(golden, "cases.json")));
  ASSERT_OK_AND_ASSIGN(std::vector<CheckCase> cases,
                       ParseCheckCases(json, "cases.json"));
  cases.resize(2);
  for (const char* name : {"pytorch_model.bin"}) {
    if (!FileExists(JoinPath(golden, name))) continue;
    const std::string dir = NewTestDir();
    for (const auto& [from, to] : std::map<std::string, std::string>{
             {"config.json", "config.json"}, {name, "pytorch_model.bin"}}) {
      ASSERT_OK_AND_ASSIGN(const std::string bytes,
                           ReadFile(JoinPath(golden, from)));
      ASSERT_OK(WriteFileAtomically(JoinPath(dir, to), bytes));
    }
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TokenNetwork> network,
                         LoadTransformer(dir, "cpu"));
    ASSERT_OK_AND_ASSIGN(const CheckReport report,
                         CheckNetwork(cases, network.get()));
    EXPECT_LE(report.largest, 1e-4) << name << FormatReport(report, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenTest,
                         ::testing::Values("bart", "bert", "big_bird",
                                           "big_bird_block_sparse",
                                           "distilbert", "electra",
                                           "electra_noproj", "gpt2", "roberta",
                                           "t5", "xlnet"),
                         [](const auto& info) { return info.param; });

// The control of the gradients' test: another norm is seen, and a parameter
// that is not there.
TEST(GoldenControlTest, OtherGradientsFail) {
  REQUIRE_DATA_OR_SKIP();
  const std::string dir = JoinPath(GoldenDir(), "bert");
  ASSERT_OK_AND_ASSIGN(const std::string json,
                       ReadFile(JoinPath(dir, "cases.json")));
  ASSERT_OK_AND_ASSIGN(std::vector<CheckCase> cases,
                       ParseCheckCases(json, "cases.json"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TransformerNetwork> network,
                       LoadTransformerForTraining(dir, TrainingOptions()));
  CheckCase& given = cases.back();
  ASSERT_FALSE(given.gradient_norms.empty());
  given.gradient_norms["classifier.weight"] *= 1.002;
  ASSERT_OK_AND_ASSIGN(
      const std::vector<GradientReport> reports,
      CheckGradients(cases, GradientTolerance(), network.get()));
  EXPECT_FALSE(GradientsPass(reports));
  EXPECT_EQ(reports[0].worst.name, "classifier.weight");
  given.gradient_norms.erase("classifier.weight");
  EXPECT_THAT(CheckGradients(cases, GradientTolerance(), network.get()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("classifier.weight")));
}

}  // namespace
}  // namespace kodistil
