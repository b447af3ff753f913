#include "student_trainer/lr_schedule.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

v1::StudentConfig Config(const std::string& type) {
  v1::StudentConfig config;
  config.set_scheduler_type(type);
  config.set_lr(0.1);
  config.set_step_size(2);
  config.set_gamma(0.7);
  config.set_base_lr(0.001);
  config.set_max_lr(0.005);
  config.set_step_size_up(4);
  return config;
}

TEST(LrScheduleTest, ConstantStays) {
  ASSERT_OK_AND_ASSIGN(const auto schedule,
                       LrSchedule::Create(Config("constant")));
  EXPECT_EQ(schedule->Rate(0, 0), 0.1);
  EXPECT_EQ(schedule->Rate(9, 999), 0.1);
}

TEST(LrScheduleTest, StepLrDecaysEveryStepSizeEpochs) {
  ASSERT_OK_AND_ASSIGN(const auto schedule,
                       LrSchedule::Create(Config("StepLR")));
  // torch.optim.lr_scheduler.StepLR(step_size=2, gamma=0.7), lr 0.1.
  const double expected[] = {0.1, 0.1, 0.07, 0.07, 0.049, 0.049, 0.0343};
  for (int epoch = 0; epoch < 7; ++epoch) {
    EXPECT_NEAR(schedule->Rate(epoch, 1000 * epoch), expected[epoch], 1e-15);
  }
}

TEST(LrScheduleTest, CyclicLrIsATriangleOverSteps) {
  ASSERT_OK_AND_ASSIGN(const auto schedule,
                       LrSchedule::Create(Config("CyclicLR")));
  // torch.optim.lr_scheduler.CyclicLR(base_lr=0.001, max_lr=0.005,
  // step_size_up=4), mode "triangular".
  const double expected[] = {0.001, 0.002, 0.003, 0.004, 0.005, 0.004,
                             0.003, 0.002, 0.001, 0.002, 0.003};
  for (int step = 0; step < 11; ++step) {
    EXPECT_NEAR(schedule->Rate(/*epoch=*/step % 3, step), expected[step],
                1e-12);
  }
}

TEST(LrScheduleTest, BadFieldsAreNamed) {
  EXPECT_THAT(
      LrSchedule::Create(Config("OneCycle")).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("\"OneCycle\"; expected StepLR, CyclicLR or")));
  v1::StudentConfig config = Config("StepLR");
  config.set_lr(0);
  EXPECT_THAT(
      LrSchedule::Create(config).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lr is 0")));
  config = Config("StepLR");
  config.set_step_size(0);
  EXPECT_THAT(LrSchedule::Create(config).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("step_size is 0")));
  config = Config("CyclicLR");
  config.set_max_lr(0.0001);
  EXPECT_THAT(
      LrSchedule::Create(config).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_lr is")));
}

}  // namespace
}  // namespace kodistil
