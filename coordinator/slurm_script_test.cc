#include "coordinator/slurm_script.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ClusterOptions Cluster() {
  ClusterOptions options;
  options.work_dir = "/w";
  options.host = "0.0.0.0";
  options.advertised_host = "head";
  options.coordinator_port = 4711;
  options.worker.threads = 2;
  options.access.insecure = true;
  return options;
}

TEST(SlurmScriptTest, WorkersAreAnArrayThatPullsTrials) {
  ASSERT_OK_AND_ASSIGN(const SlurmScript script,
                       WorkersScript(Cluster(), {}, 64));
  EXPECT_THAT(script.text, StartsWith("#!/usr/bin/env bash\n"
                                      "#SBATCH --job-name=kodistil-workers\n"
                                      "#SBATCH --array=0-63\n"));
  EXPECT_THAT(
      script.text,
      AllOf(HasSubstr("#SBATCH --output=\"/w/logs/slurm-workers-%A_%a.log\"\n"),
            HasSubstr("#SBATCH --requeue\n#SBATCH --signal=B:USR1@120\n"
                      "#SBATCH --cpus-per-task=2\nset -uo"),
            HasSubstr("\nrun_task() {"), HasSubstr("export OMP_NUM_THREADS=2"),
            HasSubstr("'--coordinator=head:4711'"),
            EndsWith("  --name=\"slurm/${SLURM_ARRAY_JOB_ID}_"
                     "${SLURM_ARRAY_TASK_ID}\"\n")));
  EXPECT_THAT(script.text,
              AllOf(Not(HasSubstr("gres")), Not(HasSubstr("--insecure"))));
}

TEST(SlurmScriptTest, TeachersRegisterAndAskForAGpu) {
  ClusterOptions cluster = Cluster();
  cluster.worker.device = "auto";
  SlurmOptions slurm;
  slurm.sbatch_args = "--account=a --time=8:00:00";
  slurm.teacher_sbatch_args = "--partition=gpu";
  ASSERT_OK_AND_ASSIGN(
      const SlurmScript teachers,
      TeachersScript(cluster, slurm, {"/models/it's", false, ""}, "head:4712",
                     4));
  EXPECT_THAT(teachers.text,
              AllOf(HasSubstr("#SBATCH --array=0-3\n"),
                    HasSubstr("#SBATCH --gres=gpu:1\n"
                              "#SBATCH --account=a --time=8:00:00\n"
                              "#SBATCH --partition=gpu\n"),
                    HasSubstr(R"('--model=/models/it'\''s')"),
                    HasSubstr("'--logit_store=head:4712'"),
                    HasSubstr("'--coordinator=head:4711'"),
                    HasSubstr("'--insecure'"), HasSubstr("'--host=0.0.0.0'"),
                    HasSubstr(R"sh(--advertise="$(hostname -f)")sh")));
  ASSERT_OK_AND_ASSIGN(const SlurmScript workers,
                       WorkersScript(cluster, slurm, 1));
  EXPECT_THAT(workers.text,
              AllOf(HasSubstr("--account=a"), Not(HasSubstr("gres")),
                    Not(HasSubstr("--partition"))));
}

TEST(SlurmScriptTest, WorkersThatNeedAGpuAskForOne) {
  ClusterOptions cluster = Cluster();
  cluster.worker.device = "cuda:0";
  ASSERT_OK_AND_ASSIGN(const SlurmScript script, WorkersScript(cluster, {}, 1));
  EXPECT_THAT(script.text, HasSubstr("#SBATCH --gres=gpu:1\n"));
}

TEST(SlurmScriptTest, OnOneMachineTeachersStayOnLoopback) {
  ClusterOptions cluster = Cluster();
  cluster.advertised_host = "127.0.0.1";
  ASSERT_OK_AND_ASSIGN(
      const SlurmScript script,
      TeachersScript(cluster, {}, {"/m", false, ""}, "127.0.0.1:1", 1));
  EXPECT_THAT(script.text, AllOf(HasSubstr("'--host=127.0.0.1'"),
                                 Not(HasSubstr("--advertise="))));
}

TEST(SlurmScriptTest, PortsThatAreNotChosenYetAreWords) {
  ClusterOptions cluster = Cluster();
  cluster.coordinator_port = 0;
  ASSERT_OK_AND_ASSIGN(const SlurmScript script, WorkersScript(cluster, {}, 1));
  EXPECT_THAT(script.text, HasSubstr("'--coordinator=head:PORT'"));
}

TEST(SlurmScriptTest, ArgumentsOfSbatchAreOptionsOnOneLine) {
  SlurmOptions slurm;
  slurm.sbatch_args = "--time=1:00";
  EXPECT_OK(slurm.Validate());
  for (const char* wrong : {"gpu", "--time=1:00\nrm -r x"}) {
    slurm.teacher_sbatch_args = wrong;
    EXPECT_THAT(slurm.Validate(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("--teacher_sbatch_args: found '"),
                               HasSubstr("expected options of sbatch"))))
        << wrong;
  }
}

}  // namespace
}  // namespace kodistil
