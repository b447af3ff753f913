// Kills workers, coordinators and teachers of small sweeps with SIGKILL and
// compares the results with those of an undisturbed run.

#include <signal.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/event_file.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using v1::Trial;

const std::vector<std::string>& Flags() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample", "--sample_rows=2000", "--student=tiny",
      "--temperature=2",  "--train_epoch=12",   "--vocab_size=1000",
      "--heartbeat=20ms", "--workers=1"};
  return *flags;
}

// The results of a run that nothing disturbs; computed once.
const std::string& Undisturbed() {
  static const auto* const results = [] {
    SweepHarness sweep(Flags());
    EXPECT_EQ(sweep.Run(), 0);
    EXPECT_EQ(sweep.Attempts(), 2);
    return new std::string(sweep.ComparableResults());
  }();
  return *results;
}

bool AnyRunningAtEpoch(const std::vector<Trial>& trials, uint32_t epoch) {
  return std::any_of(trials.begin(), trials.end(), [=](const Trial& trial) {
    return trial.state() == Trial::STATE_RUNNING && trial.epoch() >= epoch &&
           trial.history_size() > 0;
  });
}

// How often each step of the tag is in the trial's event files.
std::map<int64_t, int> StepsOf(const SweepHarness& sweep,
                               const std::string& trial,
                               const std::string& tag) {
  std::map<int64_t, int> steps;
  const std::string folder =
      sweep.InWork(absl::StrCat("tensorboard/", trial.substr(0, 12)));
  const std::vector<std::string> paths = EventFilesOf(folder).value();
  for (const std::string& path : paths) {
    const EventFile file = ParseEvents(ReadFile(path).value());
    for (const auto& event : file.events) {
      for (const auto& value : event.summary().value()) {
        steps[event.step()] += value.tag() == tag;
      }
    }
  }
  steps.erase(0);  // versions and hyperparameters
  return steps;
}

// Every epoch once, whatever was killed, and the students with their cards.
void ExpectWholeWorkFolder(const SweepHarness& sweep) {
  std::map<int64_t, int> all;
  for (int64_t epoch = 1; epoch <= 12; ++epoch) all[epoch] = 1;
  for (const std::string& trial : sweep.TrialIds()) {
    EXPECT_EQ(StepsOf(sweep, trial, "loss/train"), all) << trial;
    EXPECT_EQ(StepsOf(sweep, trial, "accuracy/test")[12], 1) << trial;
    const auto card = ReadFile(sweep.InWork(
        absl::StrCat("students/", trial.substr(0, 12), "/README.md")));
    ASSERT_OK(card);
    EXPECT_THAT(*card, HasSubstr("microseconds (median; p99"));
  }
  // Teacher, student and twin, each with each.
  EXPECT_THAT(*ReadFile(sweep.InWork("report.html")),
              ContainsRegex("\"pairs\":\\[\\[0,1,.*\\[1,2,"));
}

TEST(SweepRecoveryTest, KilledWorkersTrialIsResumedWithTheSameResult) {
  SweepHarness sweep(Flags());
  const auto coordinator = sweep.Start();
  ASSERT_TRUE(sweep.WatchUntil(coordinator.get(), [](const auto& trials) {
    return AnyRunningAtEpoch(trials, 2);
  })) << sweep.Output();
  const std::vector<int> workers =
      ChildrenOf(coordinator->pid(), "student_trainer");
  ASSERT_EQ(workers.size(), 1u);
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output();
  EXPECT_EQ(sweep.Attempts(), 3) << "the kill cost one attempt";
  EXPECT_THAT(*ReadFile(sweep.InWork("logs/local-0.log")), HasSubstr("resum"));
  EXPECT_EQ(sweep.ComparableResults(), Undisturbed());
  ExpectWholeWorkFolder(sweep);
}

TEST(SweepRecoveryTest, HungWorkerLosesItsTrialAndIsReplaced) {
  SweepHarness sweep(Flags());
  const auto coordinator = sweep.Start({"--lease=2s"});
  ASSERT_TRUE(sweep.WatchUntil(coordinator.get(), [](const auto& trials) {
    return AnyRunningAtEpoch(trials, 2);
  })) << sweep.Output();
  const std::vector<int> workers =
      ChildrenOf(coordinator->pid(), "student_trainer");
  ASSERT_EQ(workers.size(), 1u);
  ASSERT_EQ(kill(workers[0], SIGSTOP), 0);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output();
  EXPECT_THAT(sweep.Output(), HasSubstr("local/0 is silent"));
  EXPECT_EQ(sweep.ComparableResults(), Undisturbed());
}

TEST(SweepRecoveryTest, KilledCoordinatorGoesOnWithTheSameResult) {
  SweepHarness sweep(Flags());
  {
    const auto coordinator = sweep.Start();
    ASSERT_TRUE(sweep.WatchUntil(coordinator.get(), [](const auto& trials) {
      return AnyRunningAtEpoch(trials, 2);
    })) << sweep.Output();
    coordinator->Signal(SIGKILL);
    coordinator->Wait();
  }
  EXPECT_EQ(sweep.ComparableResults(), "") << "it was killed too late";
  EXPECT_EQ(sweep.Run(), 0);
  EXPECT_EQ(sweep.ComparableResults(), Undisturbed());
  ExpectWholeWorkFolder(sweep);
}

TEST(SweepRecoveryTest, SecondRunTrainsNothing) {
  SweepHarness sweep(Flags());
  ASSERT_EQ(sweep.Run(), 0);
  const std::string first = *ReadFile(sweep.InWork("results.json"));
  ASSERT_EQ(sweep.Run(), 0);
  EXPECT_EQ(*ReadFile(sweep.InWork("results.json")), first);
  ExpectWholeWorkFolder(sweep);
  EXPECT_THAT(sweep.Output(), HasSubstr("0 cells trained now"));
}

TEST(SweepRecoveryTest, AnotherSampleSizeGetsATeacherOfItsOwn) {
  SweepHarness sweep(Flags());
  ASSERT_EQ(sweep.Run({"--label_only", "--sample_rows=1000"}), 0);
  ASSERT_EQ(sweep.Run(), 0);
  EXPECT_EQ(sweep.ComparableResults(), Undisturbed());
}

TEST(SweepRecoveryTest, OneMoreValueRunsTheNewCellsAlone) {
  SweepHarness sweep(Flags());
  ASSERT_EQ(sweep.Run({"--no_twins", "--train_epoch=1"}), 0);
  ASSERT_EQ(sweep.Run({"--no_twins", "--train_epoch=1", "--temperature=2,4"}),
            0);
  EXPECT_EQ(sweep.TrialIds().size(), 2u);
  EXPECT_THAT(sweep.Output(), HasSubstr("1 cells trained now"));
}

TEST(SweepRecoveryTest, StoppedSweepSaysHowToGoOn) {
  SweepHarness sweep(Flags());
  const auto coordinator = sweep.Start();
  ASSERT_TRUE(sweep.WatchUntil(coordinator.get(), [](const auto& trials) {
    return AnyRunningAtEpoch(trials, 2);
  })) << sweep.Output();
  coordinator->Signal(SIGINT);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 130);
  EXPECT_THAT(sweep.Output(), HasSubstr("same command again"));
  EXPECT_EQ(sweep.Run(), 0);
  EXPECT_EQ(sweep.ComparableResults(), Undisturbed());
}

// A labelled csv of reviews, `edited` with the text of row 7 changed.
std::string Reviews(bool edited) {
  std::string csv = "document,label,idx\n";
  for (int i = 0; i < 400; ++i) {
    const bool good = i % 2 == 0;
    absl::StrAppend(&csv, "\"", good ? "정말 재미있는 영화 " : "지루한 영화 ",
                    i, edited && i == 7 ? " 다시" : "", "\",", good ? 1 : 0,
                    ",", i, "\n");
  }
  return csv;
}

TEST(SweepRecoveryTest, EditedRowAloneIsLabelledAgain) {
  const std::string path = JoinPath(NewTestDir(), "reviews.csv");
  ASSERT_OK(WriteFileAtomically(path, Reviews(/*edited=*/false)));
  SweepHarness sweep({absl::StrCat("--dataset=", path), "--student=tiny",
                      "--temperature=1", "--train_epoch=1", "--vocab_size=200",
                      "--workers=1"});
  ASSERT_EQ(sweep.Run(), 0);
  const std::vector<std::string> before = sweep.TrialIds();
  ASSERT_OK(WriteFileAtomically(path, Reviews(/*edited=*/true)));
  ASSERT_EQ(sweep.Run(), 0);
  EXPECT_THAT(sweep.Output(), HasSubstr("1 of 400 texts changed (rows 7)"));
  EXPECT_THAT(sweep.Output(), HasSubstr("labels: 1 rows"));
  EXPECT_THAT(sweep.Output(), HasSubstr("2 cells trained now"));
  for (const std::string& id : sweep.TrialIds()) {
    EXPECT_EQ(std::count(before.begin(), before.end(), id), 0);
  }
}

}  // namespace
}  // namespace kodistil
