// A coordinator that stays when its sweep is over, as in Kubernetes, where it
// would be started again and again.

#include <signal.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string>& Flags() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample",     "--sample_rows=1000", "--student=tiny",
      "--loss_option=ce",     "--train_epoch=1",    "--vocab_size=500",
      "--listen=127.0.0.1:0", "--heartbeat=20ms"};
  return *flags;
}

bool PollForText(const SweepHarness& sweep, const std::string& text) {
  return PollUntil(absl::Minutes(2), [&] {
    return sweep.Output().find(text) != std::string::npos;
  });
}

// A worker that comes when there is nothing left to do; its exit code.
int ExitCodeOfLateWorker(const SweepHarness& sweep) {
  const std::string folder = NewTestDir();
  const auto port = ReadFile(sweep.InWork("run/coordinator.port"));
  EXPECT_OK(port);
  ProcessOptions options;
  options.name = "late";
  options.binary = TestBinary("student_trainer/student_trainer");
  options.args = {
      absl::StrCat("--coordinator=127.0.0.1:", std::atoi(port->c_str())),
      absl::StrCat("--cache_dir=", folder, "/cache"),
      "--coordinator_timeout=2s"};
  options.log_path = JoinPath(folder, "late.log");
  auto worker = Process::Start(options);
  EXPECT_OK(worker);
  (*worker)->Wait();
  return (*worker)->exit_code();
}

TEST(StayTest, WorkersHearThatTheSweepIsOverUntilSigterm) {
  SweepHarness sweep(Flags());
  // Over now, and over from the start.
  for (const char* const trained : {"1 cells trained now", "0 cells trained"}) {
    const auto coordinator = sweep.Start({"--workers=1", "--stay"});
    ASSERT_TRUE(PollForText(sweep, "(--stay)")) << sweep.Output();
    EXPECT_THAT(sweep.Output(), HasSubstr(trained));
    EXPECT_EQ(ExitCodeOfLateWorker(sweep), 0);
    ASSERT_TRUE(coordinator->Running());
    coordinator->Signal(SIGTERM);
    coordinator->Wait();
    EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output();
  }
}

TEST(StayTest, WithoutItTheCoordinatorEndsAndALateWorkerFindsNobody) {
  SweepHarness sweep(Flags());
  EXPECT_EQ(sweep.Run({"--workers=1"}), 0) << sweep.Output();
  EXPECT_EQ(ExitCodeOfLateWorker(sweep), 1);
}

TEST(StayTest, StoppedBeforeItIsOverItWantsToBeStartedAgain) {
  SweepHarness sweep(Flags());
  const auto coordinator = sweep.Start({"--workers=0", "--stay"});
  ASSERT_TRUE(PollForText(sweep, "workers elsewhere join")) << sweep.Output();
  coordinator->Signal(SIGTERM);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 75) << sweep.Output();
}

}  // namespace
}  // namespace kodistil
