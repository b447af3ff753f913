#include "corpus/mecab_splitter.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "corpus/mecab_dictionary_for_test.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Words(const PreTokenizer& splitter,
                               const std::string& text) {
  std::vector<PreToken> words = {{text, true}};
  splitter.Apply(&words);
  std::vector<std::string> texts;
  for (const PreToken& word : words) texts.push_back(word.text);
  return texts;
}

TEST(MecabSplitterTest, WordsBecomeMorphemes) {
  ASSERT_OK_AND_ASSIGN(const std::string dir, MakeMecabDictionary("utf-8"));
  ASSERT_OK_AND_ASSIGN(const auto splitter, NewMecabSplitter(dir));
  EXPECT_THAT(Words(*splitter, "영화가 재미있다"),
              ElementsAre("영화", "가", "재미있", "다"));
  EXPECT_THAT(Words(*splitter, " 영화\u3000가\n"), ElementsAre("영화", "가"));
  // What the dictionary does not know stays together.
  EXPECT_THAT(Words(*splitter, "abc 영화"), ElementsAre("abc", "영화"));
  EXPECT_THAT(Words(*splitter, ""), ElementsAre());
}

TEST(MecabSplitterTest, IsThreadSafe) {
  ASSERT_OK_AND_ASSIGN(const std::string dir, MakeMecabDictionary("utf-8"));
  ASSERT_OK_AND_ASSIGN(const auto splitter, NewMecabSplitter(dir));
  std::vector<std::thread> threads;
  std::vector<int> bad(4);
  for (int& count : bad) {
    threads.emplace_back([&splitter, &count] {
      for (int i = 0; i < 300; ++i) {
        const auto words = Words(*splitter, i % 2 == 0 ? "영화가" : "다재미있");
        count += words.size() != 2;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(bad, ElementsAre(0, 0, 0, 0));
}

TEST(MecabSplitterTest, AMissingDictionaryIsNotFound) {
  EXPECT_THAT(NewMecabSplitter("/nonexistent"),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("/nonexistent/dicrc"),
                             HasSubstr("MeCab dictionary"))));
  ASSERT_OK_AND_ASSIGN(const std::string dir, MakeMecabDictionary("utf-8"));
  ASSERT_OK(RemoveAll(JoinPath(dir, "matrix.bin")));
  EXPECT_THAT(NewMecabSplitter(dir),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("matrix.bin")));
}

TEST(MecabSplitterTest, ADamagedDictionaryIsInvalid) {
  ASSERT_OK_AND_ASSIGN(const std::string dir, MakeMecabDictionary("utf-8"));
  ASSERT_OK(WriteFileAtomically(JoinPath(dir, "sys.dic"), "not one"));
  EXPECT_THAT(NewMecabSplitter(dir),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr(dir), HasSubstr("cannot read"))));
}

TEST(MecabSplitterTest, AnotherCharacterSetIsInvalid) {
  ASSERT_OK_AND_ASSIGN(const std::string dir, MakeMecabDictionary("euc-kr"));
  EXPECT_THAT(NewMecabSplitter(dir),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("euc-kr"), HasSubstr("UTF-8"))));
}

TEST(MecabSplitterTest, TheDigestFollowsTheDictionary) {
  ASSERT_OK_AND_ASSIGN(const std::string dir, MakeMecabDictionary("utf-8"));
  ASSERT_OK_AND_ASSIGN(const std::string digest, MecabDictionaryDigest(dir));
  EXPECT_EQ(digest.size(), 64u);
  ASSERT_OK_AND_ASSIGN(const std::string again, MakeMecabDictionary("utf-8"));
  ASSERT_OK(WriteFileAtomically(JoinPath(again, "dicrc"), "cost-factor=1\n"));
  ASSERT_OK_AND_ASSIGN(const std::string other, MecabDictionaryDigest(again));
  EXPECT_NE(other, digest);
}

}  // namespace
}  // namespace kodistil
