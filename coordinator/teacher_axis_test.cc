#include "coordinator/teacher_axis.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kA(64, 'a');
const std::string kB(64, 'b');

TEST(TeacherAxisTest, WithoutTeachersEachPathIsAValue) {
  ASSERT_OK_AND_ASSIGN(const TeacherAxis axis,
                       MakeTeacherAxis({"ngram", "/m/kobert"}, {}));
  EXPECT_THAT(axis.sources, ElementsAre("ngram", "/m/kobert"));
  ASSERT_EQ(axis.values.size(), 2u);
  EXPECT_EQ(TeacherOf(axis.values[0], {kA, kB}), kA);
  EXPECT_EQ(TeacherOf(axis.values[1], {kA, kB}), kB);
}

TEST(TeacherAxisTest, ValuesNameFoldersPathsAndTheEmbeddedTeacher) {
  ASSERT_OK_AND_ASSIGN(
      const TeacherAxis axis,
      MakeTeacherAxis({"/m/koelectra/", "/m/kobert", "/m/unused"},
                      {"0.7*koelectra+0.3*/m/kobert", "ngram", "./other+kobert",
                       "kobert"}));
  EXPECT_THAT(axis.sources,
              ElementsAre("/m/koelectra/", "/m/kobert", "ngram", "./other"));
  ASSERT_EQ(axis.values.size(), 4u);
  EXPECT_EQ(axis.values[0].name, "0.7*koelectra+0.3*/m/kobert");
  EXPECT_EQ(TeacherOf(axis.values[0], {kB, kA, "", ""}),
            "0.3*" + kA + "+0.7*" + kB);
  EXPECT_EQ(TeacherOf(axis.values[3], {kB, kA, "", ""}), kA);
}

TEST(TeacherAxisTest, OrderAndScaleOfWeightsMakeNoDifference) {
  ASSERT_OK_AND_ASSIGN(
      const TeacherAxis axis,
      MakeTeacherAxis({"a", "b"}, {"a+b", "b+a", "3*a+3*b", "0.4*a+0.6*b"}));
  const std::string first = TeacherOf(axis.values[0], {kA, kB});
  EXPECT_EQ(first, "0.5*" + kA + "+0.5*" + kB);
  EXPECT_EQ(TeacherOf(axis.values[1], {kA, kB}), first);
  EXPECT_EQ(TeacherOf(axis.values[2], {kA, kB}), first);
  EXPECT_NE(TeacherOf(axis.values[3], {kA, kB}), first);
}

TEST(TeacherAxisTest, BadValuesAreNamed) {
  const auto invalid = [](const std::string& message) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message));
  };
  EXPECT_THAT(MakeTeacherAxis({"/m/a"}, {"a+b"}),
              invalid("--teacher=a+b: found 'b', expected the name of a folder "
                      "of --teacher_path (/m/a)"));
  EXPECT_THAT(MakeTeacherAxis({"/m/a", "/n/a"}, {"a"}),
              invalid("'a' is /m/a and /n/a"));
  EXPECT_THAT(MakeTeacherAxis({"/m/a"}, {"a+/m/a"}),
              invalid("'a' and '/m/a' are one folder"));
  EXPECT_THAT(MakeTeacherAxis({"/m/a"}, {"2*a+a"}), invalid("--teacher=2*a+a"));
}

TEST(TeacherAxisTest, KnowsWhoseLogitsAreUsed) {
  const std::string mix = "0.5*" + kA + "+0.5*" + kB;
  EXPECT_TRUE(UsesTeacher(mix, kA));
  EXPECT_TRUE(UsesTeacher(mix, kB));
  EXPECT_TRUE(UsesTeacher(kA, kA));
  EXPECT_FALSE(UsesTeacher(kA, kB));
  EXPECT_FALSE(UsesTeacher("", kB));
}

}  // namespace
}  // namespace kodistil
