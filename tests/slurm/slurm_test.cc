// Sweeps whose teachers and workers are jobs of a real Slurm, which queues them
// again, loses their nodes, and outlives a coordinator.

#include <signal.h>

#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/testing.h"
#include "tests/slurm/slurm_testbed.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using v1::Trial;

constexpr absl::Duration kLimit = absl::Seconds(60);
// Longer than the test: what gives a lost cell to others is what Slurm says of
// its task.
constexpr char kLease[] = "--lease=10m";

// Six cells: two sizes, two temperatures each, and their twins.
const std::vector<std::string>& Flags() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample",  "--sample_rows=2000", "--student=tiny,mini",
      "--temperature=1,2", "--train_epoch=25",   "--vocab_size=1000",
      "--heartbeat=50ms",  "--workers=2",        "--listen=127.0.0.1:0"};
  return *flags;
}

std::vector<std::string> FlagsOfOneCell() {
  return {"--dataset=sample",    "--sample_rows=2000", "--student=small",
          "--temperature=1",     "--no_twins",         "--train_epoch=40",
          "--vocab_size=1000",   "--heartbeat=50ms",   "--workers=1",
          "--listen=127.0.0.1:0"};
}

// Ids "JOB_TASK" of the workers that train and have something to lose.
std::vector<std::string> AtWork(const std::vector<Trial>& trials) {
  std::vector<std::string> tasks;
  for (const Trial& trial : trials) {
    if (trial.state() != Trial::STATE_RUNNING || trial.history_size() == 0) {
      continue;
    }
    const std::vector<std::string> name =
        absl::StrSplit(trial.worker_id(), '/');
    tasks.push_back(name.back());
  }
  return tasks;
}

// Until `count` workers are; `tasks` are then theirs.
bool WatchUntilAtWork(const SweepHarness& sweep, Process* coordinator,
                      size_t count, std::vector<std::string>* tasks) {
  return sweep.WatchUntil(coordinator, [=](const std::vector<Trial>& trials) {
    *tasks = AtWork(trials);
    return tasks->size() == count;
  });
}

class SlurmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto bed = SlurmTestbed::Start();
    ASSERT_OK(bed);
    bed_ = *std::move(bed);
  }

  std::string NodeOf(const std::string& id) {
    for (const SlurmTask& task : bed_->Tasks()) {
      if (absl::StrCat(task.job, "_", task.index) == id) return task.node;
    }
    return "";
  }

  // How often Slurm itself has queued the task again.
  std::string RestartsOf(const std::string& id) {
    const auto text = bed_->Run("scontrol", {"-o", "show", "job", id});
    if (!text.ok()) return std::string(text.status().message());
    for (const absl::string_view word : absl::StrSplit(*text, ' ')) {
      if (absl::StartsWith(word, "Restarts=")) return std::string(word);
    }
    return *text;
  }

  // For the coordinator.
  std::map<std::string, std::string> Environment() const {
    auto environment = bed_->Environment();
    environment["KODISTIL_CACHE_DIR"] = JoinPath(NewTestDir(), "cache");
    return environment;
  }

  // A job of deploy/slurm/SCRIPT from a folder laid out as a clone; its number.
  std::string Submit(const std::string& script,
                     const std::vector<std::string>& options,
                     const std::vector<std::string>& flags) {
    const std::string tree = TestBinary("");
    EXPECT_OK(MakeDirectories(clone_));
    for (const auto& [link, target] :
         {std::pair("deploy", JoinPath(tree, "deploy")),
          std::pair("bazel-bin", tree)}) {
      std::error_code ignored;  // there from the job before
      std::filesystem::create_symlink(target, JoinPath(clone_, link), ignored);
    }
    std::vector<std::string> args = {
        "--parsable", "--cpus-per-task=1", absl::StrCat("--chdir=", clone_),
        absl::StrCat("--export=ALL,KODISTIL_HOME=", clone_)};
    args.insert(args.end(), options.begin(), options.end());
    args.push_back(JoinPath(clone_, absl::StrCat("deploy/slurm/", script)));
    args.insert(args.end(), flags.begin(), flags.end());
    const auto output = bed_->Run("sbatch", args);
    EXPECT_OK(output);
    return output.ok() ? std::string(absl::StripAsciiWhitespace(*output)) : "";
  }

  std::string StateOf(const std::string& job) {
    const auto output =
        bed_->Run("squeue", {"-h", "-t", "all", "-j", job, "-o", "%T"});
    return output.ok() ? std::string(absl::StripAsciiWhitespace(*output))
                       : std::string(output.status().message());
  }

  bool HasEnded(const std::string& job) {
    const std::string state = StateOf(job);
    return state == "COMPLETED" || state == "FAILED" || state == "CANCELLED";
  }

  std::string LogOfJob(const std::string& job) const {
    for (const char* name : {"kodistil-sweep-", "kodistil-workers-"}) {
      const auto text =
          ReadFile(JoinPath(clone_, absl::StrCat(name, job, ".log")));
      if (text.ok()) return *text;
    }
    return "no log of job " + job;
  }

  std::string LogOf(const SweepHarness& sweep, const std::string& id) {
    const auto text =
        ReadFile(sweep.InWork(absl::StrCat("logs/slurm-workers-", id, ".log")));
    return text.ok() ? *text : "";
  }

  std::unique_ptr<SlurmTestbed> bed_;
  const std::string clone_ = JoinPath(NewTestDir(), "clone");
};

TEST_F(SlurmTest, RequeuedTaskAndLostNodeLeaveTheTableAsItIs) {
  SweepHarness local(Flags());
  ASSERT_EQ(local.Run(), 0);
  ASSERT_EQ(local.Attempts(), 6);

  SweepHarness sweep(Flags());
  sweep.UseWorker("", Environment());
  const auto coordinator = sweep.Start({"--launch=slurm", kLease});
  std::vector<std::string> tasks;
  ASSERT_TRUE(WatchUntilAtWork(sweep, coordinator.get(), 2, &tasks))
      << sweep.Output() << bed_->Logs();
  const std::string requeued = tasks[0];
  const std::string lost = tasks[1];
  EXPECT_NE(NodeOf(requeued), NodeOf(lost));
  ASSERT_OK(bed_->Run("scontrol", {"requeue", requeued}).status());
  ASSERT_TRUE(PollUntil(kLimit, [&] {
    return LogOf(sweep, requeued).find("stopping after the current step") !=
           std::string::npos;
  })) << LogOf(sweep, requeued);
  // slurmd's keeper, the script, the worker.
  EXPECT_GE(bed_->KillNode(NodeOf(lost)), 2);

  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output() << bed_->Logs();
  EXPECT_EQ(sweep.ComparableResults(), local.ComparableResults());
  EXPECT_EQ(sweep.Attempts(), 8) << "each fault costs the cell an attempt";
  EXPECT_EQ(RestartsOf(requeued), "Restarts=1");
  EXPECT_EQ(RestartsOf(lost), "Restarts=1");
  EXPECT_THAT(sweep.Output(), Not(HasSubstr("is silent")));
  EXPECT_THAT(sweep.Output(), HasSubstr("slurm: teachers (job "));
  EXPECT_THAT(sweep.Output(), HasSubstr("slurm: workers (job "));
  for (const SlurmTask& task : bed_->Tasks()) {
    EXPECT_TRUE(task.state == "CANCELLED" || task.state == "COMPLETED")
        << task.job << "_" << task.index << " is " << task.state;
  }
  EXPECT_EQ(*ReadFile(sweep.InWork("slurm/jobs")), "");
  std::cout << sweep.Output();
  bed_->Stop();
  EXPECT_THAT(bed_->Processes(), IsEmpty());
}

// What Slurm sends when a time limit comes near (--signal=B:USR1@120): the
// worker keeps what it has, and its script queues it again.
TEST_F(SlurmTest, WorkerNearItsTimeLimitGoesBackIntoTheQueue) {
  SweepHarness local(FlagsOfOneCell());
  ASSERT_EQ(local.Run(), 0);

  SweepHarness sweep(FlagsOfOneCell());
  sweep.UseWorker("", Environment());
  const auto coordinator = sweep.Start({"--launch=slurm", kLease});
  std::vector<std::string> tasks;
  ASSERT_TRUE(WatchUntilAtWork(sweep, coordinator.get(), 1, &tasks))
      << sweep.Output() << bed_->Logs();
  ASSERT_OK(
      bed_->Run("scancel", {"--batch", "--signal=USR1", tasks[0]}).status());
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output() << bed_->Logs();
  EXPECT_THAT(
      LogOf(sweep, tasks[0]),
      HasSubstr(absl::StrCat("job ", tasks[0], " goes back into the queue")));
  EXPECT_EQ(RestartsOf(tasks[0]), "Restarts=1");
  EXPECT_EQ(sweep.Attempts(), 2);
  EXPECT_EQ(sweep.ComparableResults(), local.ComparableResults());
  std::cout << sweep.Output() << LogOf(sweep, tasks[0]);
}

// The scripts of deploy/slurm, for those who submit themselves: the coordinator
// on one node, a worker on the other.
TEST_F(SlurmTest, ScriptsForJobsOfYourOwnDoASweep) {
  const std::vector<std::string> flags = {
      "--dataset=sample", "--sample_rows=2000",  "--student=tiny",
      "--temperature=1",  "--train_epoch=3",     "--vocab_size=1000",
      "--heartbeat=50ms", "--listen=127.0.0.1:0"};
  SweepHarness local(flags);
  ASSERT_EQ(local.Run({"--workers=1"}), 0);

  const SweepHarness sweep({});  // for its work folder
  std::vector<std::string> more = flags;
  more.insert(more.end(), {"--insecure", "--advertise=127.0.0.1",
                           absl::StrCat("--work_dir=", sweep.work_dir())});
  const std::string coordinator = Submit("sweep.sbatch", {}, more);
  std::string port;
  ASSERT_TRUE(PollUntil(kLimit, [&] {
    const auto text = ReadFile(sweep.InWork("run/coordinator.port"));
    if (text.ok()) port = std::string(absl::StripAsciiWhitespace(*text));
    return !port.empty();
  })) << LogOfJob(coordinator);
  const std::string workers =
      Submit("workers.sbatch", {"--array=0-0"},
             {absl::StrCat("--coordinator=127.0.0.1:", port)});

  EXPECT_TRUE(PollUntil(kLimit, [&] { return HasEnded(coordinator); }));
  EXPECT_TRUE(PollUntil(kLimit, [&] { return HasEnded(workers); }));
  EXPECT_EQ(StateOf(coordinator), "COMPLETED") << LogOfJob(coordinator);
  EXPECT_EQ(StateOf(workers), "COMPLETED") << LogOfJob(workers + "_0");
  EXPECT_EQ(sweep.ComparableResults(), local.ComparableResults());
  EXPECT_THAT(LogOfJob(coordinator), HasSubstr("sweep: 2 of 2 cells ended"));
  EXPECT_THAT(LogOfJob(workers + "_0"), HasSubstr("the sweep is over"));
}

// Slurm does not queue its task again: its lost node is the coordinator's to
// make good, and first of all it has to find its jobs.
TEST_F(SlurmTest, KilledCoordinatorFindsItsJobsAndSubmitsALostTaskAgain) {
  const std::vector<std::string> flags = FlagsOfOneCell();
  const std::vector<std::string> on_slurm = {
      "--launch=slurm", "--sbatch_args=--no-requeue", kLease};
  SweepHarness local(flags);
  ASSERT_EQ(local.Run(), 0);

  SweepHarness sweep(flags);
  sweep.UseWorker("", Environment());
  std::vector<std::string> tasks;
  {
    const auto first = sweep.Start(on_slurm);
    ASSERT_TRUE(WatchUntilAtWork(sweep, first.get(), 1, &tasks))
        << sweep.Output();
    first->Signal(SIGKILL);
    first->Wait();
  }
  const std::string before = tasks[0];
  const auto second = sweep.Start(on_slurm);
  ASSERT_TRUE(PollUntil(kLimit, [&] {
    return sweep.Output().find("of an earlier coordinator go on") !=
           std::string::npos;
  })) << sweep.Output();
  ASSERT_TRUE(WatchUntilAtWork(sweep, second.get(), 1, &tasks))
      << sweep.Output();
  EXPECT_EQ(tasks[0], before) << "the worker has kept its lease";
  EXPECT_GE(bed_->KillNode(NodeOf(before)), 2);

  second->Wait();
  EXPECT_EQ(second->exit_code(), 0) << sweep.Output() << bed_->Logs();
  EXPECT_THAT(sweep.Output(), HasSubstr("1 of the workers again (0)"));
  EXPECT_EQ(RestartsOf(before), "Restarts=0");
  EXPECT_EQ(sweep.Attempts(), 2);
  EXPECT_THAT(sweep.Output(), Not(HasSubstr("is silent")));
  EXPECT_EQ(sweep.ComparableResults(), local.ComparableResults());
  std::cout << sweep.Output();
}

}  // namespace
}  // namespace kodistil
