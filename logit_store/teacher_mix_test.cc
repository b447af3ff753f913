#include "logit_store/teacher_mix.h"

#include <cmath>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string CanonicalOf(const std::string& text) {
  const auto mix = ParseTeacherMix(text);
  EXPECT_OK(mix);
  return mix.ok() ? CanonicalTeacherMix(*mix) : "";
}

TEST(TeacherMixTest, OneTeacherIsItsName) {
  EXPECT_EQ(CanonicalOf("koelectra"), "koelectra");
  EXPECT_EQ(CanonicalOf("3*koelectra"), "koelectra");
  EXPECT_FALSE(IsTeacherMix("koelectra"));
}

TEST(TeacherMixTest, MixesThatMeanTheSameAreWrittenTheSame) {
  EXPECT_EQ(CanonicalOf("a+b"), "0.5*a+0.5*b");
  EXPECT_EQ(CanonicalOf("b + a"), "0.5*a+0.5*b");
  EXPECT_EQ(CanonicalOf("2*b+2*a"), "0.5*a+0.5*b");
  EXPECT_EQ(CanonicalOf("0.7*a+0.3*b"), "0.7*a+0.3*b");
  EXPECT_EQ(CanonicalOf("3 * b + 7 * a"), "0.7*a+0.3*b");
  EXPECT_EQ(CanonicalOf("a+b+c"), "0.333333333*a+0.333333333*b+0.333333333*c");
  EXPECT_NE(CanonicalOf("0.7*a+0.3*b"), CanonicalOf("0.3*a+0.7*b"));
  EXPECT_TRUE(IsTeacherMix("a+b"));
}

TEST(TeacherMixTest, CanonicalTextReadsAsItself) {
  for (const std::string text :
       {"0.5*a+0.5*b", "0.7*a+0.3*b", "0.1*a+0.2*b+0.7*c"}) {
    EXPECT_EQ(CanonicalOf(text), text);
    EXPECT_EQ(CanonicalOf(CanonicalOf(text)), text);
  }
  const std::string thirds = CanonicalOf("a+b+c");
  EXPECT_EQ(CanonicalOf(thirds), thirds);
}

TEST(TeacherMixTest, WhatIsNoMixIsNamed) {
  const auto invalid = [](const std::string& message) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message));
  };
  EXPECT_THAT(ParseTeacherMix(""), invalid("found ''"));
  EXPECT_THAT(ParseTeacherMix("a+"), invalid("teacher 'a+': found ''"));
  EXPECT_THAT(ParseTeacherMix("0.5*a+b"), invalid("'b' has no weight"));
  EXPECT_THAT(ParseTeacherMix("a+0.5*b"), invalid("'b' has a weight"));
  EXPECT_THAT(ParseTeacherMix("x*a+2*b"), invalid("the weight 'x'"));
  EXPECT_THAT(ParseTeacherMix("0*a+1*b"), invalid("the weight '0'"));
  EXPECT_THAT(ParseTeacherMix("-1*a+2*b"), invalid("the weight '-1'"));
  EXPECT_THAT(ParseTeacherMix("nan*a+1*b"), invalid("the weight 'nan'"));
  EXPECT_THAT(ParseTeacherMix("inf*a+1*b"), invalid("the weight 'inf'"));
  EXPECT_THAT(ParseTeacherMix("1*2*a"), invalid("'2*a'"));
  EXPECT_THAT(ParseTeacherMix("a+b+a"), invalid("'a' twice"));
}

TEST(MeanLogitsTest, IsTheWeightedMean) {
  const std::vector<float> a = {1, -2};
  const std::vector<float> b = {3, 4};
  EXPECT_THAT(MeanLogits({0.5, 0.5}, {a, b}), ElementsAre(2, 1));
  EXPECT_THAT(MeanLogits({0.75, 0.25}, {a, b}), ElementsAre(1.5, -0.5));
}

std::vector<double> Softmax(const std::vector<float>& logits, double t) {
  std::vector<double> p;
  double sum = 0;
  for (const float logit : logits) {
    p.push_back(std::exp(logit / t));
    sum += p.back();
  }
  for (double& value : p) value /= sum;
  return p;
}

TEST(MeanLogitsTest, IsTheGeometricMeanOfTheSoftmaxesAtAnyTemperature) {
  const std::vector<float> a = {1, -2, 0.5};
  const std::vector<float> b = {3, 4, -1};
  for (const double t : {1.0, 2.0, 5.0}) {
    const auto p = Softmax(a, t);
    const auto q = Softmax(b, t);
    std::vector<double> mean;
    double sum = 0;
    for (int i = 0; i < 3; ++i) {
      mean.push_back(std::pow(p[i], 0.7) * std::pow(q[i], 0.3));
      sum += mean.back();
    }
    const auto mixed = Softmax(MeanLogits({0.7, 0.3}, {a, b}), t);
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(mixed[i], mean[i] / sum, 1e-6);
  }
}

}  // namespace
}  // namespace kodistil
