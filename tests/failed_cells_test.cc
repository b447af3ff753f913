// Sweeps with cells that fail, kill their worker or hang in it: how often each
// is tried, and what is told of it.

#include <signal.h>

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "nlohmann/json.hpp"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::Trial;
using Json = nlohmann::json;

constexpr char kFaultyWorker[] = "tests/faulty_worker";

// A student and its plain twin ("ce"), on one local worker.
const std::vector<std::string>& Flags() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample", "--sample_rows=2000", "--student=tiny",
      "--temperature=2",  "--train_epoch=4",    "--vocab_size=1000",
      "--heartbeat=20ms", "--workers=1"};
  return *flags;
}

// The results of a run that nothing disturbs; computed once.
const std::string& Undisturbed() {
  static const auto* const results = [] {
    SweepHarness sweep(Flags());
    EXPECT_EQ(sweep.Run(), 0);
    return new std::string(sweep.ComparableResults());
  }();
  return *results;
}

class FailedCellsTest : public ::testing::Test {
 protected:
  FailedCellsTest() : sweep_(Flags()) {}

  // The cell with this loss in results.json.
  Json Cell(const std::string& loss) {
    const auto text = ReadFile(sweep_.InWork("results.json"));
    EXPECT_OK(text);
    if (!text.ok()) return Json();
    const Json results = Json::parse(*text);
    for (const Json& trial : results["trials"]) {
      if (trial["config"]["loss_option"] == loss) return trial;
    }
    ADD_FAILURE() << "no cell with loss " << loss;
    return Json();
  }

  // What --explain prints of the cell.
  std::string Explain(const Json& cell) {
    ProcessOptions options;
    options.name = "explain";
    options.binary = TestBinary("coordinator/coordinator");
    options.args = {
        absl::StrCat("--explain=", cell["trial_id"].get<std::string>()),
        absl::StrCat("--work_dir=", sweep_.work_dir())};
    options.log_path = JoinPath(NewTestDir(), "explain.log");
    auto process = Process::Start(options);
    EXPECT_OK(process);
    (*process)->Wait();
    EXPECT_EQ((*process)->exit_code(), 0);
    return *ReadFile(options.log_path);
  }

  SweepHarness sweep_;
};

TEST_F(FailedCellsTest, CellThatKillsItsWorkerIsGivenUpAfterFiveAttempts) {
  sweep_.UseWorker(
      kFaultyWorker,
      {{"FAULT", "abort"}, {"FAULT_LOSS", "ce"}, {"FAULT_EPOCH", "2"}});
  EXPECT_EQ(sweep_.Run(), 1);
  const Json cell = Cell("ce");
  EXPECT_EQ(cell["state"], "FAILED");
  EXPECT_EQ(cell["attempts"], 5);
  EXPECT_EQ(cell["reason"],
            "gave up after 5 lost workers; the last: local/0 was killed by "
            "signal 6");
  EXPECT_EQ(cell["worker"], "local/0");
  EXPECT_THAT(cell["log_tail"].get<std::string>(),
              HasSubstr("resumed after epoch 1"));
  EXPECT_EQ(Cell("kl_div")["state"], "DONE");
  EXPECT_EQ(Cell("kl_div")["attempts"], 1);
  // The table's row.
  EXPECT_THAT(sweep_.Output(), ContainsRegex("FAILED.*gave up after 5 lost"));
  EXPECT_THAT(
      Explain(cell),
      AllOf(HasSubstr("5 lost workers of 5"), HasSubstr("Attempt 5 by local/0"),
            HasSubstr("lost before its first epoch's end (local/0 was "
                      "killed by signal 6)"),
            HasSubstr("    | ")));
  // The same sweep with a worker that is sound runs what is missing.
  sweep_.UseWorker("", {});
  EXPECT_EQ(sweep_.Run(), 0);
  EXPECT_THAT(sweep_.Output(), HasSubstr("1 cells trained now"));
  EXPECT_EQ(sweep_.ComparableResults(), Undisturbed());
}

// The control: it is the cell that counts, not the death.
TEST_F(FailedCellsTest, WorkerThatDiesOnceCostsOneAttempt) {
  sweep_.UseWorker(kFaultyWorker, {{"FAULT", "abort"},
                                   {"FAULT_LOSS", "ce"},
                                   {"FAULT_EPOCH", "2"},
                                   {"FAULT_ONCE", NewTestDir() + "/once"}});
  EXPECT_EQ(sweep_.Run(), 0);
  EXPECT_EQ(Cell("ce")["attempts"], 2);
  EXPECT_EQ(Cell("kl_div")["attempts"], 1);
  EXPECT_EQ(sweep_.ComparableResults(), Undisturbed());
}

TEST_F(FailedCellsTest, LossThatIsNotFiniteIsNotTriedAgain) {
  // Each step multiplies the weights by 1 - 10 * 10.
  EXPECT_EQ(sweep_.Run({"--lr=10", "--weight_decay=10"}), 1);
  for (const char* loss : {"ce", "kl_div"}) {
    const Json cell = Cell(loss);
    EXPECT_EQ(cell["state"], "FAILED");
    EXPECT_EQ(cell["attempts"], 1);
    EXPECT_THAT(cell["reason"].get<std::string>(),
                HasSubstr("worker local/0: the loss is not finite at epoch 1"));
    EXPECT_EQ(cell["worker"], "local/0");
    EXPECT_THAT(cell["log_tail"].get<std::string>(),
                ContainsRegex("worker.cc:[0-9]+] trial .* attempt 1 begins\n"));
    EXPECT_THAT(Explain(cell), HasSubstr("1 failed attempts of 3"));
  }
  EXPECT_THAT(sweep_.Output(),
              ContainsRegex("FAILED.*worker local/0: the loss is not finite"));
}

TEST_F(FailedCellsTest, ErrorOfTheTrainingIsTriedThreeTimes) {
  // Where checkpoints should go is a file.
  const std::string checkpoints = sweep_.InWork("cache/checkpoints");
  ASSERT_OK(WriteFileAtomically(checkpoints, "not a folder"));
  EXPECT_EQ(sweep_.Run(), 1);
  const Json cell = Cell("ce");
  EXPECT_EQ(cell["state"], "FAILED");
  EXPECT_EQ(cell["attempts"], 3);
  EXPECT_THAT(cell["reason"].get<std::string>(),
              AllOf(HasSubstr("gave up after 3 failed attempts; the last: "
                              "worker local/0: "),
                    HasSubstr(checkpoints)));
  ASSERT_OK(RemoveAll(checkpoints));
  EXPECT_EQ(sweep_.Run(), 0);
  EXPECT_EQ(sweep_.ComparableResults(), Undisturbed());
}

TEST_F(FailedCellsTest, BadConfigurationIsNoCell) {
  EXPECT_EQ(sweep_.Run({"--temperature=0"}), 2);
  EXPECT_THAT(sweep_.Output(), HasSubstr("temperature"));
  EXPECT_FALSE(FileExists(sweep_.InWork("results.json")));
}

TEST_F(FailedCellsTest, HungTrainingEndsItsWorkerAndIsTakenOver) {
  sweep_.UseWorker(kFaultyWorker, {{"FAULT", "hang"},
                                   {"FAULT_LOSS", "ce"},
                                   {"FAULT_EPOCH", "2"},
                                   {"FAULT_ONCE", NewTestDir() + "/once"}});
  EXPECT_EQ(sweep_.Run({"--hang_timeout=4s"}), 0);
  EXPECT_EQ(Cell("ce")["attempts"], 2);
  EXPECT_THAT(Explain(Cell("ce")), HasSubstr("(local/0 exited with 75)"));
  EXPECT_THAT(*ReadFile(sweep_.InWork("logs/local-0.log")),
              HasSubstr("no step of the training"));
  EXPECT_EQ(sweep_.ComparableResults(), Undisturbed());
}

// The control: its heartbeats go on, so without the watchdog it hangs for good.
TEST_F(FailedCellsTest, WithoutAWatchdogTheHungTrainingKeepsItsLease) {
  const std::string once = NewTestDir() + "/once";
  sweep_.UseWorker(kFaultyWorker, {{"FAULT", "hang"},
                                   {"FAULT_LOSS", "ce"},
                                   {"FAULT_EPOCH", "2"},
                                   {"FAULT_ONCE", once}});
  const auto coordinator = sweep_.Start({"--hang_timeout=inf", "--lease=3s"});
  // A message comes with a heartbeat, one in 100 ms at most: longer than a
  // lease.
  int messages = 0;
  EXPECT_TRUE(sweep_.WatchUntil(coordinator.get(), [&](const auto& trials) {
    messages += FileExists(once) &&
                std::any_of(trials.begin(), trials.end(), [](const Trial& t) {
                  return t.state() == Trial::STATE_RUNNING && t.leases() == 1;
                });
    return messages == 45;
  })) << sweep_.Output();
  const auto workers = ChildrenOf(coordinator->pid(), "student_trainer");
  ASSERT_EQ(workers.size(), 1u);
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep_.Output();
  EXPECT_EQ(Cell("ce")["attempts"], 2);
}

}  // namespace
}  // namespace kodistil
