#include "corpus/tokenizer_cases.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::string_view kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\n";

std::string FileWith(const std::string& settings, const std::string& cases) {
  return absl::StrCat(R"({"settings": {)", settings, R"(}, "cases": [)", cases,
                      "]}");
}

TEST(TokenizerCasesTest, ReportsEachDifference) {
  ASSERT_OK_AND_ASSIGN(
      const TokenizerCases cases,
      ParseTokenizerCases(
          FileWith(R"("do_lower_case": false, "tokenizer": "slow")",
                   R"({"label": "good", "text": "ab", "ids": [2, 4, 5, 3]},
                      {"text": "ba", "ids": [2, 4, 3], "ids_32": [2, 1, 3]})"),
          "cases.json"));
  EXPECT_TRUE(cases.options.slow);
  EXPECT_FALSE(cases.options.lower_case);
  EXPECT_THAT(cases.cases, SizeIs(3));
  ASSERT_OK_AND_ASSIGN(
      const std::vector<TokenizerDifference> differences,
      CompareTokenizer(cases, kVocab, "vocab.txt", cases.options));
  ASSERT_THAT(differences, SizeIs(1));
  EXPECT_EQ(differences[0].ToString(),
            "case 1: \"ba\"\n  expected 2 4 3\n  found    2 1 3");
  EXPECT_THAT(differences[0].found, ElementsAre(2, 1, 3));
}

TEST(TokenizerCasesTest, AnotherVocabularyIsFailedPrecondition) {
  ASSERT_OK_AND_ASSIGN(
      const TokenizerCases cases,
      ParseTokenizerCases(FileWith(R"("vocab_sha256": "00")",
                                   R"({"text": "a", "ids": [2, 4, 3]})"),
                          "cases.json"));
  EXPECT_THAT(CompareTokenizer(cases, kVocab, "vocab.txt", cases.options),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(Sha256Hex(kVocab))));
}

TEST(TokenizerCasesTest, MalformedFilesAreInvalidArgument) {
  for (const std::string& bad : {
           std::string("no json"),
           std::string("[]"),
           FileWith("", ""),
           FileWith("", R"({"text": 7, "ids": []})"),
           FileWith("", R"({"text": "a"})"),
           FileWith("", R"({"text": "a", "ids": ["x"]})"),
       }) {
    EXPECT_THAT(
        ParseTokenizerCases(bad, "cases.json"),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cases.json")))
        << bad;
  }
}

// Hugging Face's own answers: those of the Rust tokenizer in the default mode,
// those of the Python one in slow mode.
class GoldenCasesTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenCasesTest, EveryCaseIsAnsweredAsByHuggingFace) {
  REQUIRE_DATA_OR_SKIP();
  const std::string path =
      JoinPath(GoldenDir(), absl::StrCat("wordpiece/", GetParam(), ".json"));
  ASSERT_OK_AND_ASSIGN(const std::string json, ReadFile(path));
  ASSERT_OK_AND_ASSIGN(const TokenizerCases cases,
                       ParseTokenizerCases(json, path));
  EXPECT_EQ(cases.options.slow, !absl::StartsWith(GetParam(), "fast_"));
  EXPECT_GE(cases.cases.size(), 366);
  // The file names its vocabulary relative to the folder above "shared".
  const absl::string_view inside =
      absl::string_view(cases.vocab).substr(strlen("shared/data/"));
  const std::string vocab_path = JoinPath(DataDir(), inside);
  ASSERT_OK_AND_ASSIGN(const std::string vocab, ReadFile(vocab_path));
  ASSERT_OK_AND_ASSIGN(
      const std::vector<TokenizerDifference> differences,
      CompareTokenizer(cases, vocab, vocab_path, cases.options));
  for (const TokenizerDifference& difference : differences) {
    ADD_FAILURE() << difference.ToString();
  }
  // The control: without lower-casing, or with it, some case differs.
  WordPieceOptions other = cases.options;
  other.lower_case = !other.lower_case;
  ASSERT_OK_AND_ASSIGN(const std::vector<TokenizerDifference> control,
                       CompareTokenizer(cases, vocab, vocab_path, other));
  EXPECT_THAT(control, testing::Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(
    All, GoldenCasesTest,
    ::testing::Values("fast_koelectra_cased", "fast_koelectra_lower",
                      "fast_seed3000_cased", "fast_seed3000_lower",
                      "koelectra_cased", "koelectra_lower", "seed3000_cased",
                      "seed3000_lower"),
    [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kodistil
