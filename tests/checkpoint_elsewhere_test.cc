// A sweep whose workers share no folder: one is killed, and another goes on
// from the checkpoints that the coordinator has kept.

#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/testing.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using v1::Trial;

// Two cells, a student and its plain twin, for workers elsewhere.
const std::vector<std::string>& Flags() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample",    "--sample_rows=1000", "--student=tiny",
      "--temperature=2",     "--train_epoch=30",   "--vocab_size=1000",
      "--heartbeat=20ms",    "--lease=3s",         "--workers=0",
      "--listen=127.0.0.1:0"};
  return *flags;
}

// The results of a sweep that nothing disturbs; computed once.
const std::string& Undisturbed() {
  static const auto* const results = [] {
    SweepHarness sweep(Flags());
    EXPECT_EQ(sweep.Run({"--workers=1"}), 0);
    return new std::string(sweep.ComparableResults());
  }();
  return *results;
}

class CheckpointElsewhereTest : public ::testing::TestWithParam<int> {
 protected:
  CheckpointElsewhereTest() : sweep_(Flags()) {}

  // A worker with a cache of its own; its log is sweep_.InWork(NAME.log).
  std::unique_ptr<Process> StartWorker(const std::string& name,
                                       const std::string& port) {
    ProcessOptions options;
    options.name = name;
    options.binary = TestBinary("student_trainer/student_trainer");
    options.args = {
        absl::StrCat("--coordinator=127.0.0.1:", port),
        absl::StrCat("--cache_dir=", sweep_.InWork(name)),
        absl::StrCat("--name=", name),
        absl::StrCat("--pack=", GetParam()),
        absl::StrCat("--threads=", GetParam()),
    };
    options.log_path = sweep_.InWork(absl::StrCat(name, ".log"));
    auto process = Process::Start(options);
    EXPECT_OK(process);
    return *std::move(process);
  }

  std::string Port(Process* coordinator) {
    absl::StatusOr<std::string> port;
    EXPECT_TRUE(PollUntil(absl::Minutes(2), [&] {
      port = ReadFile(sweep_.InWork("run/coordinator.port"));
      return port.ok() || !coordinator->Running();
    }));
    return port.ok() ? std::string(absl::StripAsciiWhitespace(*port)) : "";
  }

  // Runs the sweep with a worker that is killed once `ready` says so, and
  // another from then on. Returns the log of the other.
  std::string KillOneAndGoOn(
      const std::vector<std::string>& more,
      const std::function<bool(const std::vector<Trial>&)>& ready) {
    const auto coordinator = sweep_.Start(more);
    const std::string port = Port(coordinator.get());
    auto first = StartWorker("first", port);
    EXPECT_TRUE(sweep_.WatchUntil(coordinator.get(), ready)) << sweep_.Output();
    first->Signal(SIGKILL);
    first->Wait();
    const auto second = StartWorker("second", port);
    coordinator->Wait();
    EXPECT_EQ(coordinator->exit_code(), 0) << sweep_.Output();
    second->Wait();
    return *ReadFile(sweep_.InWork("second.log"));
  }

  SweepHarness sweep_;
};

// Whether every running cell, of which there are `cells`, is in epoch 3 or
// later, and has a kept checkpoint if `kept`.
bool Ready(const std::vector<Trial>& trials, int cells, bool kept) {
  return std::count_if(trials.begin(), trials.end(), [=](const Trial& trial) {
           return trial.state() == Trial::STATE_RUNNING && trial.epoch() >= 3 &&
                  (!kept || trial.checkpoint().epoch() >= 2);
         }) >= cells;
}

// Epochs after which the log says that training was resumed.
std::vector<int> ResumedAfter(const std::string& log) {
  std::vector<int> epochs;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    const size_t at = line.find("resumed after epoch ");
    if (at != line.npos) epochs.push_back(std::atoi(&line[at + 20]));
  }
  return epochs;
}

TEST_P(CheckpointElsewhereTest, AnotherMachineResumesWithTheSameResults) {
  std::vector<int> kept;
  const std::string log = KillOneAndGoOn({}, [&](const auto& trials) {
    if (!Ready(trials, GetParam(), /*kept=*/true)) return false;
    for (const Trial& trial : trials) {
      if (trial.has_checkpoint()) kept.push_back(trial.checkpoint().epoch());
    }
    return true;
  });
  std::vector<int> resumed = ResumedAfter(log);
  std::sort(resumed.begin(), resumed.end());
  std::sort(kept.begin(), kept.end());
  ASSERT_EQ(resumed.size(), kept.size()) << log;
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_GE(resumed[i], kept[i]);
  EXPECT_THAT(log, HasSubstr("fetched its checkpoint of epoch"));
  EXPECT_EQ(sweep_.ComparableResults(), Undisturbed());
  // Nothing of it is left once every trial has ended.
  const std::string checkpoints = sweep_.InWork("checkpoints");
  ASSERT_OK_AND_ASSIGN(const auto folders, ListDirectory(checkpoints));
  for (const std::string& folder : folders) {
    ASSERT_OK_AND_ASSIGN(const auto files,
                         ListDirectory(JoinPath(checkpoints, folder)));
    EXPECT_THAT(files, IsEmpty());
  }
}

TEST_P(CheckpointElsewhereTest, WithoutKeptCheckpointsItBeginsAnew) {
  const std::string log =
      KillOneAndGoOn({"--checkpoint_mb=0"}, [](const auto& trials) {
        return Ready(trials, GetParam(), /*kept=*/false);
      });
  EXPECT_THAT(ResumedAfter(log), IsEmpty());
  EXPECT_FALSE(IsDirectory(sweep_.InWork("checkpoints")));
  EXPECT_EQ(sweep_.ComparableResults(), Undisturbed());
}

// Cells of one worker.
INSTANTIATE_TEST_SUITE_P(Packs, CheckpointElsewhereTest,
                         ::testing::Values(1, 2));

}  // namespace
}  // namespace kodistil
