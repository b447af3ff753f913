#include "coordinator/sweep_launch.h"

#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

SweepOptions OnSlurm() {
  SweepOptions options;
  options.launch = kLaunchSlurm;
  options.workers = 4;
  options.access.insecure = true;
  return options;
}

TEST(SweepLaunchTest, LocalSweepStaysOnLoopback) {
  SweepOptions options;
  ResolveLaunch(&options);
  EXPECT_EQ(options.listen, "");
  EXPECT_EQ(options.advertise, "");
  EXPECT_OK(options.Validate());
}

TEST(SweepLaunchTest, SlurmSweepListensEverywhereUnderThisMachinesName) {
  SweepOptions options = OnSlurm();
  ResolveLaunch(&options);
  EXPECT_EQ(options.listen, "0.0.0.0:0");
  EXPECT_NE(options.advertise, "");
  EXPECT_NE(options.advertise, "0.0.0.0");
  EXPECT_OK(options.Validate());
}

TEST(SweepLaunchTest, WhatWasGivenStays) {
  SweepOptions options = OnSlurm();
  options.listen = "127.0.0.1:0";
  ResolveLaunch(&options);
  EXPECT_EQ(options.listen, "127.0.0.1:0");
  EXPECT_EQ(options.advertise, "");
}

TEST(SweepLaunchTest, SlurmSweepNeedsTlsOrSaysThatItNeedsNone) {
  SweepOptions options = OnSlurm();
  options.access.insecure = false;
  ResolveLaunch(&options);
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("0.0.0.0"), HasSubstr("--insecure"))));
}

TEST(SweepLaunchTest, UnknownLaunchIsRefused) {
  SweepOptions options;
  options.launch = "kubernetes";
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--launch: found 'kubernetes', expected local, slurm or "
                       "print"));
}

TEST(SweepLaunchTest, ArgumentsOfSbatchNeedSlurm) {
  SweepOptions options;
  options.teacher_sbatch_args = "--partition=gpu";
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--teacher_sbatch_args=--partition=gpu needs "
                       "--launch=slurm"));
}

TEST(SweepLaunchTest, SlurmSweepSaysHowManyWorkers) {
  SweepOptions options = OnSlurm();
  options.workers = -1;
  ResolveLaunch(&options);
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--launch=slurm needs --workers=N")));
}

TEST(SweepLaunchTest, RestartedCoordinatorListensWhereItsJobsLook) {
  SweepOptions options = OnSlurm();
  const std::string port_file = JoinPath(NewTestDir(), "port");
  EXPECT_THAT(PortsToTry(options, 0, port_file), ElementsAre(0));
  ASSERT_OK(WriteFileAtomically(port_file, "4711\n"));
  EXPECT_THAT(PortsToTry(options, 0, port_file), ElementsAre(4711, 0));
  EXPECT_THAT(PortsToTry(options, 50071, port_file), ElementsAre(50071));
  options.launch = kLaunchLocal;
  EXPECT_THAT(PortsToTry(options, 0, port_file), ElementsAre(0));
}

}  // namespace
}  // namespace kodistil
