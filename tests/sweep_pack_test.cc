// Sweeps whose workers train several cells together, with real processes: their
// results are those of a sweep that trains one after another.

#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using v1::Trial;

// Three cells: two temperatures and their twin.
const std::vector<std::string>& Flags() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample",  "--sample_rows=2000", "--student=tiny",
      "--temperature=1,2", "--train_epoch=15",   "--vocab_size=1000",
      "--workers=1",       "--heartbeat=20ms"};
  return *flags;
}

// The results of a sweep without packs; computed once.
const std::string& OneByOne() {
  static const auto* const results = [] {
    SweepHarness sweep(Flags());
    EXPECT_EQ(sweep.Run({"--pack=1"}), 0);
    EXPECT_EQ(sweep.Attempts(), 3);
    EXPECT_THAT(*ReadFile(sweep.InWork("logs/local-0.log")),
                Not(HasSubstr("trained together")));
    return new std::string(sweep.ComparableResults());
  }();
  return *results;
}

TEST(SweepPackTest, PackedCellsHaveTheSameResults) {
  SweepHarness sweep(Flags());
  EXPECT_EQ(sweep.Run({"--pack=3", "--threads=2"}), 0);
  EXPECT_THAT(*ReadFile(sweep.InWork("logs/local-0.log")),
              HasSubstr("3 trials are trained together"));
  EXPECT_EQ(sweep.Attempts(), 3);
  EXPECT_EQ(sweep.ComparableResults(), OneByOne());
}

TEST(SweepPackTest, KilledWorkersPackIsResumedWithTheSameResults) {
  SweepHarness sweep(Flags());
  const auto coordinator = sweep.Start({"--pack=3"});
  ASSERT_TRUE(sweep.WatchUntil(coordinator.get(), [](const auto& trials) {
    // The coordinator answers before it knows its trials.
    return !trials.empty() &&
           std::all_of(trials.begin(), trials.end(), [](const Trial& trial) {
             return trial.state() == Trial::STATE_RUNNING &&
                    trial.history_size() > 0;
           });
  })) << sweep.Output();
  const std::vector<int> workers =
      ChildrenOf(coordinator->pid(), "student_trainer");
  ASSERT_EQ(workers.size(), 1u);
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output();
  EXPECT_EQ(sweep.Attempts(), 6) << "the kill cost an attempt of each";
  EXPECT_THAT(*ReadFile(sweep.InWork("logs/local-0.log")),
              HasSubstr("resumed after epoch"));
  EXPECT_EQ(sweep.ComparableResults(), OneByOne());
}

}  // namespace
}  // namespace kodistil
