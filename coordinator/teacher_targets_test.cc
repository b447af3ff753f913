#include "coordinator/teacher_targets.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ResolveTargetsTest, NumbersStayAndNamesAreResolved) {
  ASSERT_OK_AND_ASSIGN(const auto addresses,
                       ResolveTargets({"127.0.0.1:50051", "[::1]:50052",
                                       "localhost:50053", "127.0.0.1:50051"}));
  EXPECT_THAT(addresses, ElementsAre("127.0.0.1:50051", "[::1]:50052",
                                     "localhost@127.0.0.1:50053"));
}

TEST(ResolveTargetsTest, WhatIsNoTargetIsNamed) {
  EXPECT_THAT(ResolveTargets({"localhost"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'localhost': expected host:port")));
  EXPECT_THAT(ResolveTargets({":1"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("':1'")));
}

TEST(TargetWatchTest, KeepsWhatResolvedBefore) {
  const TargetWatch watch({"localhost:1"}, {"127.0.0.1:1"}, absl::Hours(1));
  EXPECT_THAT(watch.addresses(), ElementsAre("127.0.0.1:1"));
}

}  // namespace
}  // namespace kodistil
