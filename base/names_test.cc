#include "base/names.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string>& GoodNames() {
  static const auto* const names = new std::vector<std::string>{
      "a",       "0",    "model.safetensors",  "koelectra-small-v3",
      "A_b.C-1", "a..b", std::string(128, 'x')};
  return *names;
}

const std::vector<std::string>& BadNames() {
  using std::string_literals::operator""s;
  static const auto* const names =
      new std::vector<std::string>{"",
                                   ".",
                                   "..",
                                   "../b",
                                   "a/..",
                                   "a/../../b",
                                   "/",
                                   "/etc/passwd",
                                   "a/b",
                                   "a\\b",
                                   ".hidden",
                                   "-rf",
                                   "_a",
                                   " a",
                                   "a ",
                                   "a\n",
                                   "a\0b"s,
                                   "\0"s,
                                   "a\0/../b"s,
                                   "~",
                                   "$HOME",
                                   "a:b",
                                   "a;b",
                                   "%2e%2e",
                                   "리뷰",
                                   std::string(129, 'x'),
                                   std::string(4096, 'x')};
  return *names;
}

TEST(CheckNameTest, TakesPlainNames) {
  for (const std::string& name : GoodNames()) {
    EXPECT_OK(CheckName("model", name)) << name;
  }
}

TEST(CheckNameTest, RefusesWhatIsNone) {
  for (const std::string& name : BadNames()) {
    const absl::Status status = CheckName("model", name);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 AllOf(HasSubstr("model '"),
                                       HasSubstr("expected a letter"))));
    // What was found is escaped and cut.
    EXPECT_LT(status.message().size(), 600u);
    EXPECT_EQ(status.message().find('\0'), absl::string_view::npos);
  }
}

class PathUnderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewTestDir();
    root_ = JoinPath(folder_, "models");
    ASSERT_OK(WriteFileAtomically(JoinPath(root_, "inside/file"), "x"));
    ASSERT_OK(WriteFileAtomically(JoinPath(folder_, "models_old/file"), "x"));
    ASSERT_OK(WriteFileAtomically(JoinPath(folder_, "secret"), "x"));
  }

  void Link(const std::string& target, const std::string& name) {
    std::filesystem::create_symlink(target, JoinPath(root_, name));
  }

  std::string folder_;
  std::string root_;
};

TEST_F(PathUnderTest, GivesThePath) {
  for (const std::string& name : GoodNames()) {
    ASSERT_OK_AND_ASSIGN(const std::string path,
                         PathUnder(root_, "model", name));
    EXPECT_EQ(path, JoinPath(root_, name));
  }
  EXPECT_OK(PathUnder(root_, "model", "inside"));
  EXPECT_OK(PathUnder(JoinPath(folder_, "not/there/yet"), "model", "a"));
  EXPECT_OK(PathUnder("relative", "model", "a"));
  EXPECT_OK(PathUnder("/", "model", "a"));
}

TEST_F(PathUnderTest, RefusesNamesThatLeave) {
  for (const std::string& name : BadNames()) {
    EXPECT_THAT(
        PathUnder(root_, "model", name),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model '")));
  }
}

TEST_F(PathUnderTest, RefusesLinksThatLeave) {
  Link("../secret", "link");
  Link(JoinPath(folder_, "models_old"), "sibling");
  Link("/", "slash");
  Link("..", "up");
  Link(".", "itself");
  Link("../not_there", "dangling");
  for (const char* name :
       {"link", "sibling", "slash", "up", "itself", "dangling"}) {
    EXPECT_THAT(PathUnder(root_, "model", name),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(name), HasSubstr(root_))))
        << name;
  }
  // Controls: links that stay, and a root that is a link itself.
  Link("inside", "stays");
  EXPECT_OK(PathUnder(root_, "model", "stays"));
  std::filesystem::create_symlink(root_, JoinPath(folder_, "alias"));
  EXPECT_OK(PathUnder(JoinPath(folder_, "alias"), "model", "inside"));
}

TEST_F(PathUnderTest, LinkInACircleIsAnError) {
  Link("b", "a");
  Link("a", "b");
  EXPECT_THAT(PathUnder(root_, "model", "a"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a'")));
}

TEST(FileNameForTest, KeepsWhatIsSafe) {
  for (const char* text : {"nsmc", "nsmc+steam", "리뷰 모음", "a..b", "-"}) {
    EXPECT_EQ(FileNameFor(text), text);
  }
}

TEST(FileNameForTest, ReplacesWhatIsNot) {
  using std::string_literals::operator""s;
  for (const std::string& text : {""s, "."s, ".."s, "../../b"s, "/etc"s, "a/b"s,
                                  "a\0b"s, "a\nb"s, std::string(4096, 'x')}) {
    const std::string name = FileNameFor(text);
    EXPECT_OK(CheckName("dataset", name));
    EXPECT_EQ(name.size(), 32u);
    EXPECT_EQ(name, FileNameFor(text));
  }
  EXPECT_NE(FileNameFor("a/b"), FileNameFor("a/c"));
}

}  // namespace
}  // namespace kodistil
