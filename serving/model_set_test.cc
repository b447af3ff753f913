#include "serving/model_set.h"

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(ParseModelSpecsTest, ReadsFoldersAndNames) {
  ASSERT_OK_AND_ASSIGN(const auto specs,
                       ParseModelSpecs("work/students/abc/,tiny=/x/y=z"));
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[0].name, "abc");
  EXPECT_EQ(specs[0].folder, "work/students/abc/");
  EXPECT_EQ(specs[1].name, "tiny");
  EXPECT_EQ(specs[1].folder, "/x/y=z");
}

TEST(ParseModelSpecsTest, NamesWhatIsWrong) {
  const auto expect = [](const char* text, const char* message) {
    EXPECT_THAT(
        ParseModelSpecs(text),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  expect("a,,b", "expected a student's folder");
  expect("a=", "\"a=\": expected a student's folder");
  expect("x/a,y/a", "two models are called a");
  expect("..", "the model name \"..\"");
  expect("a b=x", "the model name \"a b\"");
  expect("=x", "the model name \"\"");
}

class ModelSetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(SaveRandomStudent(folder_, 1));
    options_.models = {{"m", folder_}};
    // The tests look themselves.
    options_.reload_interval = absl::ZeroDuration();
  }

  const std::string folder_ = NewTestDir() + "/student";
  ModelSetOptions options_;
};

TEST_F(ModelSetTest, FindsByNameAndTheFirstForNone) {
  options_.models.push_back({"other", folder_});
  ASSERT_OK_AND_ASSIGN(const auto set, ModelSet::Create(options_));
  EXPECT_EQ(set->Find("")->name(), "m");
  EXPECT_EQ(set->Find("other")->name(), "other");
  EXPECT_EQ(set->Find("none"), nullptr);
  EXPECT_EQ(set->All().size(), 2u);
}

TEST_F(ModelSetTest, TakesAChangedFolderAndLeavesTheOldModelUsable) {
  ASSERT_OK_AND_ASSIGN(const auto set, ModelSet::Create(options_));
  const auto old = set->Find("m");
  const std::string digest = old->digest();
  set->CheckNow();
  EXPECT_EQ(set->Find("m"), old) << "nothing has changed";
  ASSERT_OK(SaveRandomStudent(folder_, 2));
  set->CheckNow();
  EXPECT_NE(set->Find("m")->digest(), digest);
  EXPECT_EQ(set->reloads(), 1u);
  // Who holds the old one goes on with it.
  EXPECT_EQ(old->digest(), digest);
  float row[2];
  old->Classify({"영화"}, row);
  EXPECT_NEAR(row[0] + row[1], 1, 1e-6);
}

TEST_F(ModelSetTest, ABadFolderChangesNothingAndAGoodOneThenDoes) {
  ASSERT_OK_AND_ASSIGN(const auto set, ModelSet::Create(options_));
  const auto old = set->Find("m");
  ASSERT_OK(WriteFileAtomically(folder_ + "/config.json", "{}"));
  set->CheckNow();
  set->CheckNow();
  EXPECT_EQ(set->Find("m"), old);
  EXPECT_EQ(set->failed_reloads(), 1u) << "looked at once, reported once";
  ASSERT_OK(RemoveAll(folder_));
  set->CheckNow();
  EXPECT_EQ(set->Find("m"), old) << "there is no folder for a while";
  ASSERT_OK(SaveRandomStudent(folder_, 2));
  set->CheckNow();
  EXPECT_NE(set->Find("m"), old);
}

TEST_F(ModelSetTest, LooksByItself) {
  options_.reload_interval = absl::Milliseconds(5);
  ASSERT_OK_AND_ASSIGN(const auto set, ModelSet::Create(options_));
  ASSERT_OK(SaveRandomStudent(folder_, 2));
  while (set->reloads() == 0) std::this_thread::yield();
  ASSERT_OK_AND_ASSIGN(
      const auto expected,
      StudentModel::Load("m", folder_, InferencePrecision::kFp32));
  EXPECT_EQ(set->Find("m")->digest(), expected->digest());
}

TEST_F(ModelSetTest, DoesNotBeginWithABadModel) {
  options_.models.push_back({"other", "/nowhere"});
  EXPECT_THAT(ModelSet::Create(options_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere")));
  options_.models.clear();
  EXPECT_THAT(
      ModelSet::Create(options_),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no model")));
}

}  // namespace
}  // namespace kodistil
