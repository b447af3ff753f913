#include "student_trainer/loss.h"

#include <cmath>
#include <vector>

#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

LossOptions Options(LossKind kind, double loss_rate, double temperature) {
  LossOptions options;
  options.kind = kind;
  options.loss_rate = loss_rate;
  options.temperature = temperature;
  return options;
}

// Values of torch.nn.functional for logits [[1, -0.5], [0.25, 2]], labels
// [0, 0], teacher [[2, -1], [-0.5, 0.5]], by hand from their definitions.
const std::vector<float> kLogits = {1.0f, -0.5f, 0.25f, 2.0f};
const std::vector<float> kTeacher = {2.0f, -1.0f, -0.5f, 0.5f};
const std::vector<int> kLabels = {0, 0};

// -log sigmoid of the difference, the two-class cross entropy.
double TwoClass(double difference) { return std::log1p(std::exp(-difference)); }

double TwoClassKl(double teacher, double student) {
  const double p = 1 / (1 + std::exp(-teacher));
  const double q = 1 / (1 + std::exp(-student));
  return p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q));
}

TEST(LossTest, CrossEntropyIsTheSumOverRows) {
  std::vector<float> gradient(4);
  const LossSums sums =
      DistillationLoss(Options(LossKind::kCe, 0.1, 1), 2, kLogits, kLabels, {},
                       absl::MakeSpan(gradient));
  const double expected = TwoClass(1.5) + TwoClass(-1.75);
  EXPECT_NEAR(sums.total, expected, 1e-6);
  EXPECT_NEAR(sums.hard, expected, 1e-6);
  EXPECT_EQ(sums.soft, 0);
  EXPECT_EQ(sums.rows, 2);
  EXPECT_EQ(sums.labelled, 2);
}

TEST(LossTest, KlDivIsScaledByTheSquareOfTheTemperature) {
  std::vector<float> gradient(4);
  const LossSums sums =
      DistillationLoss(Options(LossKind::kKlDiv, 0.3, 2), 2, kLogits, kLabels,
                       kTeacher, absl::MakeSpan(gradient));
  const double soft =
      4 * (TwoClassKl(3.0 / 2, 1.5 / 2) + TwoClassKl(-1.0 / 2, -1.75 / 2));
  const double hard = TwoClass(1.5) + TwoClass(-1.75);
  EXPECT_NEAR(sums.soft, soft, 1e-6);
  EXPECT_NEAR(sums.hard, hard, 1e-6);
  EXPECT_NEAR(sums.total, 0.3 * hard + 0.7 * soft, 1e-6);
}

TEST(LossTest, MseIsTheMeanOverClasses) {
  std::vector<float> gradient(4);
  const LossSums sums =
      DistillationLoss(Options(LossKind::kMse, 0, 1), 2, kLogits, kLabels,
                       kTeacher, absl::MakeSpan(gradient));
  EXPECT_NEAR(sums.soft, (1 + 0.25) / 2 + (0.5625 + 2.25) / 2, 1e-6);
  EXPECT_NEAR(sums.total, sums.soft, 1e-6);
}

TEST(LossTest, TeacherThatAgreesHasNoSoftTermNorGradient) {
  for (LossKind kind : {LossKind::kKlDiv, LossKind::kMse}) {
    std::vector<float> gradient(4);
    const LossSums sums =
        DistillationLoss(Options(kind, 0, 3), 2, kLogits, kLabels, kLogits,
                         absl::MakeSpan(gradient));
    EXPECT_NEAR(sums.total, 0, 1e-9);
    for (float value : gradient) EXPECT_NEAR(value, 0, 1e-9);
  }
}

TEST(LossTest, RowWithoutLabelHasTheSoftTermAlone) {
  std::vector<float> gradient(4);
  const LossSums sums =
      DistillationLoss(Options(LossKind::kKlDiv, 0.5, 1), 2, kLogits, {0, -1},
                       kTeacher, absl::MakeSpan(gradient));
  EXPECT_EQ(sums.rows, 2);
  EXPECT_EQ(sums.labelled, 1);
  EXPECT_NEAR(sums.hard, TwoClass(1.5), 1e-6);
  EXPECT_NEAR(sums.soft, TwoClassKl(3, 1.5) + TwoClassKl(-1, -1.75), 1e-6);
}

TEST(LossTest, GradientIsTheDifferenceQuotient) {
  constexpr int kRows = 5, kClasses = 4;
  Pcg32 random(11);
  std::vector<float> logits(kRows * kClasses), teacher(kRows * kClasses);
  for (float& value : logits) value = 4 * random.Uniform() - 2;
  for (float& value : teacher) value = 4 * random.Uniform() - 2;
  const std::vector<int> labels = {0, 3, 1, -1, 2};
  for (LossKind kind : {LossKind::kCe, LossKind::kKlDiv, LossKind::kMse}) {
    const LossOptions options = Options(kind, 0.4, 2.5);
    std::vector<float> gradient(logits.size()), unused(logits.size());
    DistillationLoss(options, kClasses, logits, labels, teacher,
                     absl::MakeSpan(gradient));
    for (size_t i = 0; i < logits.size(); ++i) {
      constexpr float kStep = 1e-2f;
      const auto total_at = [&](float change) {
        std::vector<float> moved = logits;
        moved[i] += change;
        return DistillationLoss(options, kClasses, moved, labels, teacher,
                                absl::MakeSpan(unused))
            .total;
      };
      const double slope = (total_at(kStep) - total_at(-kStep)) / (2 * kStep);
      EXPECT_NEAR(gradient[i], slope / kRows, 1e-4) << i;
    }
  }
}

TEST(LossTest, LargeLogitsStayFinite) {
  EXPECT_NEAR(CrossEntropy({1e4f, -1e4f}, 1), 2e4, 1);
  EXPECT_NEAR(CrossEntropy({1e4f, -1e4f}, 0), 0, 1e-9);
}

TEST(LossTest, ArgMaxTakesTheFirstOfEquals) {
  EXPECT_EQ(ArgMax({1.0f, 1.0f}), 0);
  EXPECT_EQ(ArgMax({1.0f, 3.0f, 2.0f}), 1);
}

TEST(LossTest, BadOptionsAreInvalid) {
  EXPECT_THAT(ParseLossKind("kl").status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected kl_div, mse or ce")));
  EXPECT_THAT(Options(LossKind::kKlDiv, 1.5, 1).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("loss_rate is 1.5")));
  EXPECT_THAT(Options(LossKind::kKlDiv, 0.5, 0).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("temperature is 0")));
  EXPECT_OK(Options(LossKind::kKlDiv, 0, 0.5).Validate());
}

}  // namespace
}  // namespace kodistil
