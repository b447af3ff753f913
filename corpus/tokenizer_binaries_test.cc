// The binaries tokenize and train_vocab as a user runs them.

#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Outcome {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

class TokenizerBinariesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = NewTestDir();
    vocab_ = Write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\n");
  }

  std::string Write(const std::string& name, absl::string_view content) {
    const std::string path = JoinPath(dir_, name);
    EXPECT_OK(WriteFileAtomically(path, content));
    return path;
  }

  Outcome Run(const std::string& binary, const std::string& arguments) {
    const std::string path = FindSiblingBinary("corpus/" + binary);
    EXPECT_NE(path, "");
    FILE* pipe = popen((path + " " + arguments + " 2>&1").c_str(), "r");
    Outcome outcome;
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
      outcome.output.push_back(static_cast<char>(c));
    }
    outcome.exit_code = WEXITSTATUS(pclose(pipe));
    return outcome;
  }

  std::string dir_;
  std::string vocab_;
};

TEST_F(TokenizerBinariesTest, PrintsTheIdsOfEachLine) {
  const std::string text = Write("text.txt", "ab a\n\nAB\n");
  const Outcome from_file =
      Run("tokenize", absl::StrCat("--vocab=", vocab_, " --input=", text));
  EXPECT_EQ(from_file.output, "2 4 5 4 3\n2 3\n2 1 3\n");
  EXPECT_EQ(from_file.exit_code, 0);
  const Outcome from_stdin =
      Run("tokenize", absl::StrCat("--vocab=", vocab_,
                                   " --lower_case --max_length=3 < ", text));
  EXPECT_EQ(from_stdin.output, "2 4 3\n2 3\n2 4 3\n");
}

TEST_F(TokenizerBinariesTest, CasesDecideTheExitCode) {
  const std::string good =
      Write("good.json", R"({"settings": {}, "cases": [{"text": "AB",
                       "ids": [2, 4, 5, 3]}]})");
  const std::string bad =
      Write("bad.json", R"({"settings": {"do_lower_case": false}, "cases": [
                      {"text": "AB", "label": "upper", "ids": [2, 4, 5, 3]},
                      {"text": "a", "ids": [2, 4, 3]}]})");
  const std::string flags = absl::StrCat("--vocab=", vocab_, " --cases=");
  const Outcome same = Run("tokenize", flags + good);
  EXPECT_EQ(same.output, "1 cases, 0 different\n");
  EXPECT_EQ(same.exit_code, 0);
  const Outcome different = Run("tokenize", flags + bad);
  EXPECT_THAT(different.output,
              StartsWith("upper: \"AB\"\n  expected 2 4 5 3\n  found    2 1 "
                         "3\n2 cases, 1 different\n"));
  EXPECT_EQ(different.exit_code, 1);
  EXPECT_EQ(Run("tokenize", flags + bad + " --lower_case").exit_code, 0);
}

TEST_F(TokenizerBinariesTest, UsageErrorsExitWithTwo) {
  const Outcome no_vocab = Run("tokenize", "");
  EXPECT_THAT(no_vocab.output, HasSubstr("--vocab=FILE"));
  EXPECT_EQ(no_vocab.exit_code, 2);
  const Outcome small = Run("train_vocab", "--vocab_size=7");
  EXPECT_THAT(small.output, HasSubstr("vocab_size is 7"));
  EXPECT_EQ(small.exit_code, 2);
  EXPECT_EQ(Run("tokenize", "--vocab=/nonexistent/vocab.txt").exit_code, 1);
}

TEST_F(TokenizerBinariesTest, TrainedVocabularyTokenizesItsText) {
  const std::string text = Write("text.txt", "좋은 영화\n좋은 게임\n");
  const std::string trained = JoinPath(dir_, "trained.txt");
  const Outcome train =
      Run("train_vocab", absl::StrCat("--input=", text, " --vocab_size=100",
                                      " --output=", trained));
  EXPECT_THAT(train.output, EndsWith("15 pieces from 3 texts\n"));
  ASSERT_EQ(train.exit_code, 0);
  const Outcome tokenize =
      Run("tokenize", absl::StrCat("--vocab=", trained, " --input=", text));
  // 5 to 10: the characters; 11 to 13: those inside words; 14: the one merge.
  EXPECT_EQ(tokenize.output, "2 14 6 13 3\n2 14 5 12 3\n");
}

TEST_F(TokenizerBinariesTest, TrainsOnTheTrainingRowsOfADataset) {
  const std::string trained = JoinPath(dir_, "sample.txt");
  const Outcome train =
      Run("train_vocab", absl::StrCat("--dataset=sample --sample_rows=200 "
                                      "--vocab_size=400 --output=",
                                      trained));
  EXPECT_THAT(train.output, HasSubstr("400 pieces from 171 texts"));
  EXPECT_EQ(train.exit_code, 0);
}

}  // namespace
}  // namespace kodistil
