#include "corpus/wordpiece_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Ids: 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP], 4 [MASK], then the pieces from 5.
std::string VocabOf(const std::vector<std::string>& pieces) {
  return absl::StrCat("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n",
                      absl::StrJoin(pieces, "\n"), "\n");
}

std::unique_ptr<WordPieceTokenizer> NewTokenizer(
    const std::vector<std::string>& pieces, WordPieceOptions options = {}) {
  auto tokenizer =
      WordPieceTokenizer::Create(VocabOf(pieces), "vocab.txt", options);
  EXPECT_OK(tokenizer);
  return *std::move(tokenizer);
}

TEST(WordPieceTokenizerTest, TakesTheLongestPieceFromTheLeft) {
  const auto tokenizer =
      NewTokenizer({"영화", "영", "##화", "##가", "##가요", "##요"});
  EXPECT_THAT(tokenizer->Encode("영화가요 영가", 0),
              ElementsAre(2, 5, 9, 6, 8, 3));
  EXPECT_EQ(tokenizer->vocab_size(), 11);
}

TEST(WordPieceTokenizerTest, WordWithAnUnknownPartIsOneUnk) {
  const auto tokenizer = NewTokenizer({"영", "##화", "다"});
  EXPECT_THAT(tokenizer->Encode("영화관 다", 0), ElementsAre(2, 1, 5 + 2, 3));
}

TEST(WordPieceTokenizerTest, ContinuationPieceDoesNotStartAWord) {
  const auto tokenizer = NewTokenizer({"#", "##화", "화"});
  EXPECT_THAT(tokenizer->Encode("##화", 0), ElementsAre(2, 5, 5, 7, 3));
}

TEST(WordPieceTokenizerTest, TruncationKeepsTheFirstPiecesAndSep) {
  const auto tokenizer = NewTokenizer({"a", "##b", "c"});
  EXPECT_THAT(tokenizer->Encode("ab c", 5), ElementsAre(2, 5, 6, 7, 3));
  EXPECT_THAT(tokenizer->Encode("ab c", 4), ElementsAre(2, 5, 6, 3));
  EXPECT_THAT(tokenizer->Encode("ab c", 3), ElementsAre(2, 5, 3));
  EXPECT_THAT(tokenizer->Encode("ab c", 2), ElementsAre(2, 3));
  EXPECT_THAT(tokenizer->Encode("", 0), ElementsAre(2, 3));
}

TEST(WordPieceTokenizerTest, WordsAboveTheLimitAreUnk) {
  WordPieceOptions options;
  options.max_word_chars = 3;
  const auto tokenizer = NewTokenizer({"가", "##가"}, options);
  EXPECT_THAT(tokenizer->Encode("가가가", 0), ElementsAre(2, 5, 6, 6, 3));
  EXPECT_THAT(tokenizer->Encode("가가가가", 0), ElementsAre(2, 1, 3));
}

TEST(WordPieceTokenizerTest, SpecialLiteralsAreThosePiecesUnlessAskedNot) {
  const std::vector<std::string> pieces = {"[", "]", "mask", "a"};
  const auto tokenizer = NewTokenizer(pieces);
  EXPECT_THAT(tokenizer->Encode("a[MASK]a[mask]", 0),
              ElementsAre(2, 8, 4, 8, 5, 7, 6, 3));
  EXPECT_THAT(tokenizer->Encode("a[MASK]a", 3), ElementsAre(2, 8, 3));
  EXPECT_THAT(tokenizer->Encode("a[MASK]a", 4), ElementsAre(2, 8, 4, 3));
  EXPECT_THAT(tokenizer->Encode("[MASK", 0), ElementsAre(2, 5, 7, 3));
  WordPieceOptions options;
  options.special_literals = false;
  EXPECT_THAT(NewTokenizer(pieces, options)->Encode("a[MASK]a", 0),
              ElementsAre(2, 8, 5, 7, 6, 8, 3));
}

TEST(WordPieceTokenizerTest, StripAccentsTakesThemAwayBeforeOtherSteps) {
  const std::vector<std::string> pieces = {"cafe", "café", "é"};
  WordPieceOptions strip;
  strip.strip_accents = true;
  for (const bool slow : {false, true}) {
    strip.slow = slow;
    const auto tokenizer = NewTokenizer(pieces, strip);
    EXPECT_THAT(tokenizer->Encode("CAFÉ cafe\u0301", 0),
                ElementsAre(2, 5, 5, 3));
  }
  EXPECT_THAT(NewTokenizer(pieces)->Encode("CAFÉ", 0), ElementsAre(2, 6, 3));
}

TEST(WordPieceTokenizerTest, IllFormedBytesAreDropped) {
  const auto tokenizer = NewTokenizer({"ab"});
  EXPECT_THAT(tokenizer->Encode("a\xFF"
                                "b \xED\x95",
                                0),
              ElementsAre(2, 5, 3));
}

class PairTest : public ::testing::Test {
 protected:
  // Numbers of pieces of the first and the second text that stay of
  // `first_size` and `second_size`.
  std::pair<int, int> Keep(int first_size, int second_size, int max_length,
                           bool slow) {
    WordPieceOptions options;
    options.slow = slow;
    const auto tokenizer = NewTokenizer({"a", "b"}, options);
    std::string first, second;
    for (int i = 0; i < first_size; ++i) first += "a ";
    for (int i = 0; i < second_size; ++i) second += "b ";
    std::vector<int32_t> types;
    const std::vector<int32_t> ids =
        tokenizer->EncodePair(first, second, max_length, &types);
    EXPECT_EQ(ids.size(), types.size());
    EXPECT_EQ(std::count(ids.begin(), ids.end(), 3), 2);
    const auto type_ones = std::count(types.begin(), types.end(), 1);
    const int kept_second = std::count(ids.begin(), ids.end(), 6);
    EXPECT_EQ(type_ones, kept_second + 1);
    return {std::count(ids.begin(), ids.end(), 5), kept_second};
  }
};

TEST_F(PairTest, LaysOutBothTextsWithTypes) {
  const auto tokenizer = NewTokenizer({"a", "b"});
  std::vector<int32_t> types;
  EXPECT_THAT(tokenizer->EncodePair("a a", "b", 0, &types),
              ElementsAre(2, 5, 5, 3, 6, 3));
  EXPECT_THAT(types, ElementsAre(0, 0, 0, 0, 1, 1));
  EXPECT_THAT(tokenizer->EncodePair("a", "", 0, nullptr),
              ElementsAre(2, 5, 3, 3));
}

TEST_F(PairTest, CutsTheLongerTextFirst) {
  for (const bool slow : {false, true}) {
    EXPECT_EQ(Keep(10, 3, 11, slow), std::make_pair(5, 3));
    EXPECT_EQ(Keep(3, 10, 11, slow), std::make_pair(3, 5));
    EXPECT_EQ(Keep(10, 10, 11, slow), std::make_pair(4, 4));
    EXPECT_EQ(Keep(5, 5, 3, slow), std::make_pair(0, 0));
    EXPECT_EQ(Keep(5, 5, 13, slow), std::make_pair(5, 5));
  }
}

TEST_F(PairTest, TheOddPieceGoesWhereEachTokenizerPutsIt) {
  EXPECT_EQ(Keep(10, 10, 16, /*slow=*/true), std::make_pair(7, 6));
  EXPECT_EQ(Keep(10, 10, 16, /*slow=*/false), std::make_pair(6, 7));
  EXPECT_EQ(Keep(12, 10, 16, /*slow=*/false), std::make_pair(7, 6));
  EXPECT_EQ(Keep(8, 12, 16, /*slow=*/true), std::make_pair(7, 6));
}

TEST(WordPieceVocabTest, MissingSpecialPieceIsInvalidArgument) {
  EXPECT_THAT(WordPieceTokenizer::Create("[PAD]\n[UNK]\n[SEP]\na\n",
                                         "dir/vocab.txt", {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("dir/vocab.txt"), HasSubstr("[CLS]"))));
  EXPECT_THAT(WordPieceTokenizer::Create("", "v", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[PAD]")));
}

TEST(WordPieceVocabTest, PieceThatIsNotUtf8NamesItsLine) {
  EXPECT_THAT(
      WordPieceTokenizer::Create("[PAD]\n\xFF\xFE\n", "dir/vocab.txt", {}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("dir/vocab.txt:2")));
}

TEST(WordPieceVocabTest, WindowsLineEndsAndAMissingLastOneAreRead) {
  ASSERT_OK_AND_ASSIGN(const auto tokenizer,
                       WordPieceTokenizer::Create(
                           "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na", "v", {}));
  EXPECT_EQ(tokenizer->vocab_size(), 5);
  EXPECT_THAT(tokenizer->Encode("a", 0), ElementsAre(2, 4, 3));
}

TEST(WordPieceVocabTest, BadOptionsAreInvalidArgument) {
  WordPieceOptions options;
  options.max_word_chars = 0;
  EXPECT_THAT(WordPieceTokenizer::Create(VocabOf({}), "v", options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_word_chars is 0")));
}

}  // namespace
}  // namespace kodistil
