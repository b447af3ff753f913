#include "coordinator/slurm_commands.h"

#include <cstdlib>

#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/fake_slurm.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SlurmCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(commands_, SlurmCommands::Find(NewTestDir()));
  }

  absl::StatusOr<std::vector<SlurmTask>> AskAndWait() {
    EXPECT_OK(commands_->Ask({"7"}));
    absl::Notification never;
    while (true) {
      auto answer = commands_->Answer();
      if (answer.has_value()) return *std::move(answer);
      never.WaitForNotificationWithTimeout(absl::Milliseconds(5));
    }
  }

  FakeSlurm slurm_;
  std::unique_ptr<SlurmCommands> commands_;
};

TEST_F(SlurmCommandsTest, MissingCommandIsNamed) {
  setenv("PATH", "/nowhere", 1);
  EXPECT_THAT(SlurmCommands::Find(NewTestDir()),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("found no sbatch in PATH=/nowhere"),
                             HasSubstr("expected Slurm's commands"))));
}

TEST_F(SlurmCommandsTest, SubmitsWholeArraysAndSingleTasks) {
  EXPECT_EQ(*commands_->Submit("a.sbatch", {}), "1");
  EXPECT_EQ(*commands_->Submit("a.sbatch", {3, 7}), "2");
  ASSERT_OK(commands_->Cancel({"1", "2"}));
  EXPECT_THAT(slurm_.Calls(),
              ElementsAre("sbatch --parsable a.sbatch",
                          "sbatch --parsable --array=3,7 a.sbatch",
                          "scancel --quiet 1 2"));
}

TEST_F(SlurmCommandsTest, QuotesWhatSbatchSays) {
  slurm_.Break("sbatch", "sbatch: error: invalid partition specified: gpu");
  EXPECT_THAT(commands_->Submit("a.sbatch", {}),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("sbatch --parsable a.sbatch exited"),
                             HasSubstr("invalid partition specified: gpu"))));
}

TEST_F(SlurmCommandsTest, AnswersWithTheTasks) {
  slurm_.Show("7_0|RUNNING|n1|None\n7_1|PENDING||Priority\n7|PENDING||x\n");
  ASSERT_OK_AND_ASSIGN(const auto tasks, AskAndWait());
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].job, "7");
  EXPECT_EQ(tasks[0].index, 0);
  EXPECT_EQ(tasks[0].state, "RUNNING");
  EXPECT_EQ(tasks[0].node, "n1");
  EXPECT_EQ(tasks[1].state, "PENDING");
  EXPECT_EQ(tasks[1].reason, "Priority");
}

TEST_F(SlurmCommandsTest, ForgottenJobHasNoTasks) {
  slurm_.Show("");
  ASSERT_OK_AND_ASSIGN(const auto tasks, AskAndWait());
  EXPECT_THAT(tasks, IsEmpty());
}

TEST_F(SlurmCommandsTest, ControllerThatIsAwayIsAnError) {
  slurm_.Break("squeue", "slurm_load_jobs error: Unable to contact slurm");
  EXPECT_THAT(AskAndWait(), StatusIs(absl::StatusCode::kInternal,
                                     HasSubstr("Unable to contact slurm")));
}

TEST_F(SlurmCommandsTest, ForgottenQuestionHasNoAnswer) {
  slurm_.Show("7_0|RUNNING|n1|None\n");
  ASSERT_OK(commands_->Ask({"7"}));
  commands_->Forget();
  EXPECT_FALSE(commands_->asking());
  EXPECT_FALSE(commands_->Answer().has_value());
}

}  // namespace
}  // namespace kodistil
