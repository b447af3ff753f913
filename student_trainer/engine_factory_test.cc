#include "student_trainer/engine_factory.h"

#include "base/testing.h"
#include "student_trainer/fast_student.h"
#include "student_trainer/student_network.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(EngineFactoryTest, NamesChooseTheEngine) {
  EngineOptions options;
  ASSERT_OK_AND_ASSIGN(auto fast, CreateStudentEngine(StudentShape(), options));
  EXPECT_NE(dynamic_cast<FastStudent*>(fast.get()), nullptr);
  options.engine = "torch";
  ASSERT_OK_AND_ASSIGN(auto torch,
                       CreateStudentEngine(StudentShape(), options));
  EXPECT_NE(dynamic_cast<StudentNetwork*>(torch.get()), nullptr);
}

TEST(EngineFactoryTest, DevicesOtherThanTheCpuHaveTorch) {
  EngineOptions options;
  EXPECT_EQ(options.Resolved(), "fast");
  options.device = "cuda:0";
  EXPECT_EQ(options.Resolved(), "torch");
}

TEST(EngineFactoryTest, BothEnginesStartFromTheSameWeights) {
  EngineOptions options;
  auto fast = *CreateStudentEngine(StudentShape(), options);
  options.engine = "torch";
  auto torch = *CreateStudentEngine(StudentShape(), options);
  ASSERT_OK(fast->Initialize(3));
  ASSERT_OK(torch->Initialize(3));
  EXPECT_EQ(*fast->Weights(), *torch->Weights());
}

TEST(EngineFactoryTest, BadOptionsAreInvalidAndNamed) {
  EngineOptions options;
  options.engine = "numpy";
  EXPECT_THAT(CreateStudentEngine(StudentShape(), options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("engine is \"numpy\"")));
  options = EngineOptions();
  options.threads = 0;
  EXPECT_THAT(
      CreateStudentEngine(StudentShape(), options).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("threads is 0")));
}

}  // namespace
}  // namespace kodistil
