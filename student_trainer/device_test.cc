#include "student_trainer/device.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(DeviceTest, CpuIsCpuAndAutoIsSomething) {
  ASSERT_OK_AND_ASSIGN(const std::string cpu, ResolveDevice("cpu"));
  EXPECT_EQ(cpu, "cpu");
  ASSERT_OK_AND_ASSIGN(const std::string automatic, ResolveDevice("auto"));
  EXPECT_TRUE(automatic == "cpu" || automatic == "cuda:0") << automatic;
}

TEST(DeviceTest, OtherWordsAreInvalid) {
  for (const char* device : {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1"}) {
    EXPECT_THAT(ResolveDevice(device),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("expected cpu, cuda:N or auto")))
        << device;
  }
}

TEST(DeviceTest, GpuThatIsNotThereIsFailedPrecondition) {
  EXPECT_THAT(ResolveDevice("cuda:4096"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("device cuda:4096")));
}

TEST(DeviceTest, OnlyTheReferenceBlasIsWarnedOf) {
  EXPECT_THAT(SlowBlasWarningOf("7f00 r-xp /usr/lib/blas/libblas.so.3.11.0\n"),
              HasSubstr("libopenblas0-pthread"));
  EXPECT_EQ(SlowBlasWarningOf("/usr/lib/openblas-pthread/libblas.so.3\n"), "");
  EXPECT_EQ(SlowBlasWarningOf("/opt/libtorch/libtorch_cpu.so\n"), "");
}

}  // namespace
}  // namespace kodistil
