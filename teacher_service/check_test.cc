#include "teacher_service/check.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Logits of a row: the sum of its ids where the mask says so, and 1. With
// `leak`, padding counts; with `broken`, the first logit is not a number.
class SumNetwork : public TokenNetwork {
 public:
  explicit SumNetwork(double leak = 0, bool broken = false)
      : leak_(leak), broken_(broken) {
    info_.num_classes = 2;
    info_.max_positions = 10;
  }
  const TokenNetworkInfo& info() const override { return info_; }
  absl::StatusOr<std::vector<float>> Forward(const TokenBatch& batch) override {
    if (!CheckBatch(info_, batch).ok()) return CheckBatch(info_, batch);
    std::vector<float> logits;
    for (int64_t row = 0; row < batch.rows; ++row) {
      double sum = 0;
      for (int64_t i = row * batch.columns; i < (row + 1) * batch.columns;
           ++i) {
        sum += batch.mask[i] != 0 ? batch.ids[i] : leak_;
      }
      logits.push_back(broken_ ? std::nanf("") : static_cast<float>(sum));
      logits.push_back(1);
    }
    return logits;
  }

 private:
  const double leak_;
  const bool broken_;
  TokenNetworkInfo info_;
};

constexpr char kCases[] = R"([
  {"name": "one", "input_ids": [[1, 2, 3], [4, 5, 0]],
   "attention_mask": [[1, 1, 1], [1, 1, 0]], "lengths": [3, 2],
   "logits": [[6, 1], [9, 1.0]]},
  {"input_ids": [[7]], "token_type_ids": [[1]], "logits": [[7.5, 1]]}])";

TEST(CheckTest, ParsesCases) {
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckCase> cases,
                       ParseCheckCases(kCases, "c.json"));
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].name, "one");
  EXPECT_EQ(cases[0].batch.columns, 3);
  EXPECT_THAT(cases[0].batch.mask, ElementsAre(1, 1, 1, 1, 1, 0));
  EXPECT_THAT(cases[0].batch.type_ids, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(cases[0].logits, ElementsAre(6, 1, 9, 1));
  EXPECT_EQ(cases[1].name, "case 1");
  EXPECT_THAT(cases[1].batch.mask, ElementsAre(1));
  EXPECT_THAT(cases[1].batch.type_ids, ElementsAre(1));
}

TEST(CheckTest, BadCasesNameCaseAndField) {
  EXPECT_THAT(ParseCheckCases("[", "c.json"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("c.json")));
  struct Bad {
    std::string json;
    std::string named;
  };
  const std::vector<Bad> table = {
      {"{}", "expected a JSON array"},
      {"[]", "expected a JSON array"},
      {"[1]", "case 0: not an object"},
      {"[{}]", "case 0: no input_ids"},
      {R"([{"input_ids": [[1]]}])", "case 0: no logits"},
      {R"([{"input_ids": [1], "logits": [[1]]}])", "input_ids: row 0"},
      {R"([{"input_ids": [[]], "logits": [[1]]}])", "input_ids: row 0"},
      {R"([{"input_ids": [[1.5]], "logits": [[1]]}])", "row 0 holds number"},
      {R"([{"input_ids": [["1"]], "logits": [[1]]}])", "row 0 holds string"},
      {R"([{"input_ids": [[1, 2], [3]], "logits": [[1]]}])",
       "row 1 is not a list of 2 numbers"},
      {R"([{"input_ids": [[1]], "attention_mask": [[1, 1]],
            "logits": [[1]]}])",
       "attention_mask: row 0"},
      {R"([{"input_ids": [[1], [2]], "logits": [[1]]}])",
       "logits: not a list of 2 rows"},
  };
  for (const Bad& bad : table) {
    EXPECT_THAT(ParseCheckCases(bad.json, "c.json"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("c.json: "), HasSubstr(bad.named))))
        << bad.json;
  }
}

absl::StatusOr<CheckReport> Check(TokenNetwork* network) {
  return CheckNetwork(*ParseCheckCases(kCases, "c.json"), network);
}

TEST(CheckTest, FindsTheLargestDifference) {
  SumNetwork network;
  ASSERT_OK_AND_ASSIGN(const CheckReport report, Check(&network));
  EXPECT_EQ(report.rows, 3);
  EXPECT_EQ(report.cases[0].largest(), 0);
  EXPECT_EQ(report.largest, 0.5);
  const std::string summary = "2 cases, 3 rows, largest difference 5.00e-01 ";
  EXPECT_THAT(FormatReport(report, 0.5),
              HasSubstr(summary + "(tolerance 0.5): OK\n"));
  EXPECT_THAT(FormatReport(report, 0.1),
              HasSubstr(summary + "(tolerance 0.1): FAILED\n"));
}

// Padding that counts: no difference alone, one in the batch, a larger one
// beside a longer row.
TEST(CheckTest, SeesPaddingThatLeaks) {
  SumNetwork network(/*leak=*/0.25);
  ASSERT_OK_AND_ASSIGN(const CheckReport report, Check(&network));
  EXPECT_EQ(report.cases[0].alone, 0);
  EXPECT_EQ(report.cases[0].batch, 0.25);
  // The row of three tokens beside one of ten, the limit: seven of padding.
  EXPECT_EQ(report.cases[0].neighbour, 7 * 0.25);
}

TEST(CheckTest, NotANumberIsTheLargestDifference) {
  SumNetwork network(/*leak=*/0, /*broken=*/true);
  ASSERT_OK_AND_ASSIGN(const CheckReport report, Check(&network));
  EXPECT_EQ(report.largest, std::numeric_limits<double>::infinity());
  EXPECT_THAT(FormatReport(report, 1), HasSubstr("FAILED"));
}

TEST(CheckTest, AnotherNumberOfClassesIsInvalid) {
  SumNetwork network;
  const std::string json =
      R"([{"name": "x", "input_ids": [[1]], "logits": [[1, 2, 3]]}])";
  EXPECT_THAT(CheckNetwork(*ParseCheckCases(json, "c.json"), &network),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("x: 3 logits a row, the model has 2")));
}

}  // namespace
}  // namespace kodistil
