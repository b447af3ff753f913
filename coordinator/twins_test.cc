#include "coordinator/twins.h"

#include <vector>

#include "coordinator/grid.h"
#include "gtest/gtest.h"

namespace kodistil {
namespace {

using v1::StudentConfig;
using v1::Trial;

Trial TrialOf(const char* loss, uint32_t hidden_dim) {
  StudentConfig config;
  config.set_loss_option(loss);
  config.set_hidden_dim(hidden_dim);
  config.set_temperature(2);
  config.set_loss_rate(0.1);
  Trial trial;
  *trial.mutable_config() = Canonical(config);
  trial.set_state(Trial::STATE_DONE);
  return trial;
}

TEST(TwinsTest, TwinIsThePlainStudentOfTheSameShape) {
  const std::vector<Trial> trials = {TrialOf("kl_div", 64), TrialOf("ce", 16),
                                     TrialOf("ce", 64), TrialOf("mse", 16)};
  const Twins twins(trials);
  EXPECT_EQ(twins.Of(trials[0]), &trials[2]);
  EXPECT_EQ(twins.Of(trials[3]), &trials[1]);
}

TEST(TwinsTest, PlainStudentsAndUnfinishedTwinsHaveNone) {
  std::vector<Trial> trials = {TrialOf("kl_div", 64), TrialOf("ce", 64)};
  EXPECT_EQ(Twins(trials).Of(trials[1]), nullptr);
  trials[1].set_state(Trial::STATE_RUNNING);
  EXPECT_EQ(Twins(trials).Of(trials[0]), nullptr);
}

}  // namespace
}  // namespace kodistil
