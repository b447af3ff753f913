#include "coordinator/slurm_cluster.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/testing.h"
#include "coordinator/fake_slurm.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Told {
  std::string name;
  Cluster::Death death;
};

class SlurmClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    work_dir_ = NewTestDir();
    script_ = JoinPath(work_dir_, "slurm/workers.sbatch");
    cluster_ = Create(4711);
  }

  std::unique_ptr<SlurmCluster> Create(int port) {
    SlurmClusterOptions options;
    options.cluster.work_dir = work_dir_;
    options.cluster.advertised_host = "head";
    options.cluster.coordinator_port = port;
    options.poll = absl::ZeroDuration();
    options.stop_limit = absl::ZeroDuration();
    options.changed = [this](const auto& jobs) { jobs_ = jobs; };
    auto cluster = SlurmCluster::Create(options);
    EXPECT_OK(cluster);
    return *std::move(cluster);
  }

  // Until squeue's answer, shown now, has been looked at.
  absl::Status Supervise(const std::string& tasks) {
    slurm_.Show(tasks);
    absl::Notification never;
    const auto died = [this](const std::string& name,
                             const Cluster::Death& death) {
      told_.push_back({name, death});
      return at_work_;
    };
    KODISTIL_RETURN_IF_ERROR(cluster_->Supervise(died));
    const std::string path = JoinPath(work_dir_, "slurm/jobs");
    EXPECT_OK(RemoveAll(path));
    while (!FileExists(path)) {  // written after each look
      KODISTIL_RETURN_IF_ERROR(cluster_->Supervise(died));
      never.WaitForNotificationWithTimeout(absl::Milliseconds(1));
    }
    return absl::OkStatus();
  }

  std::string work_dir_;
  std::string script_;
  FakeSlurm slurm_;
  std::vector<v1::JobStatus> jobs_;
  std::vector<Told> told_;
  bool at_work_ = false;  // whether those that die have a trial
  std::unique_ptr<SlurmCluster> cluster_;
};

TEST_F(SlurmClusterTest, SubmitsAnArrayAndShowsItsStates) {
  ASSERT_OK(cluster_->StartWorkers(2));
  EXPECT_THAT(slurm_.Calls(),
              ElementsAre(absl::StrCat("sbatch --parsable ", script_)));
  EXPECT_THAT(*ReadFile(script_), HasSubstr("'--coordinator=head:4711'"));
  ASSERT_OK(Supervise("1_0|RUNNING|n1|None\n1_1|PENDING||Priority\n"));
  ASSERT_EQ(jobs_.size(), 1u);
  EXPECT_EQ(jobs_[0].jobs(), "1");
  EXPECT_EQ(jobs_[0].running(), 1u);
  EXPECT_EQ(jobs_[0].waiting(), 1u);
  EXPECT_EQ(jobs_[0].reason(), "Priority");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(SlurmClusterTest, RefusedJobQuotesSbatch) {
  slurm_.Break("sbatch", "sbatch: error: invalid account");
  EXPECT_THAT(cluster_->StartWorkers(2),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("sbatch: error: invalid account")));
}

TEST_F(SlurmClusterTest, LostTasksAreSubmittedAgain) {
  ASSERT_OK(cluster_->StartWorkers(3));
  ASSERT_OK(Supervise(
      "1_0|RUNNING|n1|None\n1_1|NODE_FAIL|n2|None\n1_2|FAILED|n1|NonZero\n"));
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[0].name, "slurm/1_1");
  EXPECT_FALSE(told_[0].death.counts) << "the node's fault";
  EXPECT_EQ(told_[1].name, "slurm/1_2");
  EXPECT_TRUE(told_[1].death.counts);
  EXPECT_THAT(told_[1].death.reason,
              HasSubstr("task 1_2 of the workers has ended: Slurm says FAILED "
                        "NonZero"));
  EXPECT_EQ(slurm_.Calls().back(),
            absl::StrCat("sbatch --parsable --array=1,2 ", script_));
  EXPECT_EQ(jobs_[0].resubmitted(), 2u);
  told_.clear();
  ASSERT_OK(Supervise(
      "1_0|RUNNING|n1|None\n2_1|RUNNING|n1|None\n2_2|PENDING||None\n"));
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_EQ(jobs_[0].running(), 2u);
  EXPECT_EQ(*ReadFile(JoinPath(work_dir_, "slurm/jobs")),
            "workers 1 0\nworkers 2 1\nworkers 2 2\n");
}

TEST_F(SlurmClusterTest, TaskThatIsQueuedAgainGivesItsLeaseBackAtOnce) {
  ASSERT_OK(cluster_->StartWorkers(1));
  ASSERT_OK(Supervise("1_0|RUNNING|n1|None\n"));
  ASSERT_OK(Supervise("1_0|PENDING||BeginTime\n"));
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].name, "slurm/1_0");
  EXPECT_FALSE(told_[0].death.counts);
  EXPECT_EQ(slurm_.Calls().size(), 1u) << "Slurm itself has queued it";
}

TEST_F(SlurmClusterTest, TaskThatKeepsFailingEndsTheSweep) {
  ASSERT_OK(cluster_->StartWorkers(1));
  for (int job = 1; job < 5; ++job) {
    ASSERT_OK(Supervise(absl::StrCat(job, "_0|FAILED|n1|None\n")));
  }
  ASSERT_OK(WriteFileAtomically(
      JoinPath(work_dir_, "logs/slurm-workers-5_0.log"), "no such program\n"));
  EXPECT_THAT(
      Supervise("5_0|FAILED|n1|None\n"),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(HasSubstr("task 5_0 of the workers"),
                     HasSubstr("5th time"), HasSubstr("no such program"))));
}

// The control of the above: the ledger gives such trials up.
TEST_F(SlurmClusterTest, TasksThatTrialsEndAreAlwaysSubmittedAgain) {
  at_work_ = true;
  ASSERT_OK(cluster_->StartWorkers(1));
  for (int job = 1; job < 10; ++job) {
    ASSERT_OK(Supervise(absl::StrCat(job, "_0|FAILED|n1|None\n")));
  }
  EXPECT_EQ(slurm_.Calls().size(), 10u);
}

TEST_F(SlurmClusterTest, CancelledTasksStayAway) {
  ASSERT_OK(cluster_->StartWorkers(2));
  ASSERT_OK(Supervise("1_0|RUNNING|n1|None\n1_1|CANCELLED||None\n"));
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_EQ(slurm_.Calls().size(), 1u);
  EXPECT_THAT(Supervise("1_0|CANCELLED|n1|None\n1_1|CANCELLED||None\n"),
              StatusIs(absl::StatusCode::kAborted,
                       HasSubstr("all workers have ended before the sweep")));
  EXPECT_EQ(told_.size(), 2u) << "each once";
}

TEST_F(SlurmClusterTest, ForgottenTasksAreLost) {
  ASSERT_OK(cluster_->StartWorkers(1));
  ASSERT_OK(Supervise(""));
  EXPECT_EQ(slurm_.Calls().back(),
            absl::StrCat("sbatch --parsable --array=0 ", script_));
}

TEST_F(SlurmClusterTest, NothingIsLostWhileSlurmIsAway) {
  ASSERT_OK(cluster_->StartWorkers(1));
  slurm_.Break("squeue", "Unable to contact slurm controller");
  absl::Notification never;
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(cluster_->Supervise([](const auto&...) { return false; }));
    never.WaitForNotificationWithTimeout(absl::Milliseconds(1));
  }
  EXPECT_EQ(slurm_.Calls().size(), 1u);
}

TEST_F(SlurmClusterTest, FailedResubmissionIsTriedAgain) {
  ASSERT_OK(cluster_->StartWorkers(1));
  slurm_.Break("sbatch", "Unable to contact slurm controller");
  ASSERT_OK(Supervise("1_0|NODE_FAIL|n1|None\n"));
  slurm_.Repair("sbatch");
  ASSERT_OK(Supervise("1_0|NODE_FAIL|n1|None\n"));
  EXPECT_EQ(slurm_.Calls().back(),
            absl::StrCat("sbatch --parsable --array=0 ", script_));
}

TEST_F(SlurmClusterTest, AllAreCancelledAtTheEnd) {
  ASSERT_OK(cluster_->StartWorkers(1));
  ASSERT_OK(cluster_->StartTeachers({"/m", false, ""}, "head:1", 1).status());
  EXPECT_TRUE(cluster_->TeachersRegister());
  cluster_->StopTeachers();
  EXPECT_EQ(slurm_.Calls().back(), "scancel --quiet 2");
  cluster_->StopAll();
  EXPECT_EQ(slurm_.Calls().back(), "scancel --quiet 1");
  EXPECT_EQ(*ReadFile(JoinPath(work_dir_, "slurm/jobs")), "");
}

// What a coordinator that was killed leaves: what it wrote.
class RestartedSlurmClusterTest : public SlurmClusterTest {
 protected:
  void SetUp() override {
    SlurmClusterTest::SetUp();
    ASSERT_OK(cluster_->StartWorkers(2));
    const std::string jobs = JoinPath(work_dir_, "slurm/jobs");
    ASSERT_OK_AND_ASSIGN(const std::string kept, ReadFile(jobs));
    cluster_ = nullptr;
    ASSERT_OK(WriteFileAtomically(jobs, kept));
    calls_ = slurm_.Calls().size();
  }

  std::vector<std::string> NewCalls() const {
    const auto calls = slurm_.Calls();
    return {calls.begin() + calls_, calls.end()};
  }

  size_t calls_ = 0;
};

TEST_F(RestartedSlurmClusterTest, FindsItsJobs) {
  cluster_ = Create(4711);
  ASSERT_OK(cluster_->StartWorkers(2));
  EXPECT_THAT(NewCalls(), IsEmpty());
  ASSERT_OK(Supervise("1_0|RUNNING|n1|None\n1_1|COMPLETED|n1|None\n"));
  EXPECT_EQ(jobs_[0].running(), 1u);
}

TEST_F(RestartedSlurmClusterTest, CancelsThoseThatLookForItElsewhere) {
  cluster_ = Create(4712);
  ASSERT_OK(cluster_->StartWorkers(2));
  EXPECT_THAT(NewCalls(),
              ElementsAre("scancel --quiet 1",
                          absl::StrCat("sbatch --parsable ", script_)));
}

TEST_F(RestartedSlurmClusterTest, CancelsThoseThatItDoesNotNeed) {
  cluster_ = Create(4711);
  cluster_->StopAll();
  EXPECT_THAT(NewCalls(), ElementsAre("scancel --quiet 1"));
}

}  // namespace
}  // namespace kodistil
