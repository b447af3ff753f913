#include "serving/student_model.h"

#include <cmath>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/testing.h"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

class StudentModelTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(SaveRandomStudent(folder_, 1)); }

  std::shared_ptr<const StudentModel> Load(
      InferencePrecision precision = InferencePrecision::kFp32) {
    auto model = StudentModel::Load("m", folder_, precision);
    EXPECT_OK(model);
    return *model;
  }

  const std::string folder_ = NewTestDir() + "/student";
};

std::vector<float> Classify(const StudentModel& model,
                            const std::vector<absl::string_view>& texts) {
  std::vector<float> rows(texts.size() * model.classes());
  model.Classify(texts, absl::MakeSpan(rows));
  return rows;
}

// What the kernel says of the tokens that the tokenizer makes.
TEST_F(StudentModelTest, GivesTheKernelsProbabilities) {
  const StudentFolder student = RandomStudent(1);
  ASSERT_OK_AND_ASSIGN(const auto kernel,
                       InferenceKernel::Create(student.shape, student.weights,
                                               InferencePrecision::kFp32));
  const std::vector<int32_t> tokens = {2, 7, 8, 9, 21, 3};
  InferenceScratch scratch;
  float logits[2];
  kernel->Run(tokens, &scratch, logits);
  const std::vector<float> row = Classify(*Load(), {"정말 재미있다!"});
  EXPECT_NEAR(row[1], 1 / (1 + std::exp(logits[0] - logits[1])), 1e-6);
  EXPECT_NEAR(row[0] + row[1], 1, 1e-6);
}

TEST_F(StudentModelTest, ARowDoesNotDependOnItsBatch) {
  const auto model = Load();
  const std::vector<absl::string_view> texts = {"영화가 최고!", "", "싫다",
                                                "a b c a b c", "\xff\xfe"};
  const std::vector<float> together = Classify(*model, texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<float> alone = Classify(*model, {texts[i]});
    EXPECT_EQ(alone[0], together[2 * i]) << i;
    EXPECT_EQ(alone[1], together[2 * i + 1]) << i;
  }
  EXPECT_NE(together[0], together[4]);
}

TEST_F(StudentModelTest, Int8AnswersAlmostTheSame) {
  const auto fp32 = Load();
  const auto int8 = Load(InferencePrecision::kInt8);
  EXPECT_EQ(fp32->precision(), "fp32");
  EXPECT_EQ(int8->precision(), "int8");
  EXPECT_NE(fp32->digest(), int8->digest());
  const std::vector<absl::string_view> text = {"영화가 정말 최고!"};
  EXPECT_NEAR(Classify(*fp32, text)[1], Classify(*int8, text)[1], 0.02);
}

TEST_F(StudentModelTest, TheDigestIsOfTheContent) {
  const std::string digest = Load()->digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(Load()->digest(), digest);
  ASSERT_OK(SaveRandomStudent(folder_, 2));
  EXPECT_NE(Load()->digest(), digest);
}

TEST_F(StudentModelTest, NamesWhatIsWrongWithAFolder) {
  EXPECT_THAT(StudentModel::Load("m", "/nowhere", InferencePrecision::kFp32),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere")));
  ASSERT_OK(WriteFileAtomically(folder_ + "/vocab.txt", "a\nb\n"));
  EXPECT_THAT(
      StudentModel::Load("m", folder_, InferencePrecision::kFp32),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("vocab.txt")));
}

TEST(ClassNameTest, OfTwoClassesHaveNames) {
  EXPECT_EQ(ClassName(0, 2), "negative");
  EXPECT_EQ(ClassName(1, 2), "positive");
  EXPECT_EQ(ClassName(1, 3), "class 1");
}

}  // namespace
}  // namespace kodistil
