#include "corpus/piece_model.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<int32_t> Ids(const PieceModel& model, absl::string_view word) {
  std::vector<int32_t> ids;
  model.Append(word, &ids);
  return ids;
}

std::unique_ptr<PieceModel> WordPiece(PieceIds pieces,
                                      WordPieceModelOptions options = {}) {
  auto model = NewWordPieceModel(std::move(pieces), options);
  EXPECT_OK(model);
  return *std::move(model);
}

TEST(WordPieceModelTest, LongestMatchFromTheLeft) {
  const auto model = WordPiece({{"[UNK]", 0},
                                {"ab", 1},
                                {"a", 2},
                                {"##c", 3},
                                {"##b", 4},
                                {"##bc", 5},
                                {"영", 6}});
  EXPECT_THAT(Ids(*model, "abc"), ElementsAre(1, 3));
  EXPECT_THAT(Ids(*model, "acbc"), ElementsAre(2, 3, 5));
  EXPECT_THAT(Ids(*model, "abx"), ElementsAre(0));
  EXPECT_THAT(Ids(*model, "영c"), ElementsAre(6, 3));
  // The text of a continuation is a piece like any other.
  EXPECT_THAT(Ids(*model, "##c"), ElementsAre(3));
  EXPECT_EQ(model->IdOf("##bc"), 5);
  EXPECT_EQ(model->IdOf("bc"), -1);
  EXPECT_EQ(model->size(), 7);
}

TEST(WordPieceModelTest, LongWordsAreUnknown) {
  WordPieceModelOptions options;
  options.max_input_chars_per_word = 2;
  const auto model = WordPiece({{"[UNK]", 0}, {"가", 1}, {"##가", 2}}, options);
  EXPECT_THAT(Ids(*model, "가가"), ElementsAre(1, 2));
  EXPECT_THAT(Ids(*model, "가가가"), ElementsAre(0));
}

TEST(WordPieceModelTest, UnknownMustBeAPiece) {
  EXPECT_THAT(NewWordPieceModel({{"a", 0}}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("unk_token is \"[UNK]\"")));
}

std::unique_ptr<PieceModel> Bpe(
    PieceIds pieces, std::vector<std::pair<std::string, std::string>> merges,
    BpeModelOptions options = {}) {
  auto model = NewBpeModel(std::move(pieces), std::move(merges), options);
  EXPECT_OK(model);
  return *std::move(model);
}

TEST(BpeModelTest, LowerRanksFirstThenFromTheLeft) {
  const PieceIds pieces = {{"a", 0},  {"b", 1},  {"c", 2},
                           {"ab", 3}, {"bc", 4}, {"aa", 5}};
  const auto model = Bpe(pieces, {{"b", "c"}, {"a", "b"}, {"a", "a"}});
  EXPECT_THAT(Ids(*model, "abc"), ElementsAre(0, 4));
  EXPECT_THAT(Ids(*model, "ab"), ElementsAre(3));
  EXPECT_THAT(Ids(*model, "aaa"), ElementsAre(5, 0));
  EXPECT_THAT(Ids(*model, "aaab"), ElementsAre(5, 3));
  // Without a token for it, what is unknown is dropped.
  EXPECT_THAT(Ids(*model, "xax"), ElementsAre(0));
  EXPECT_THAT(Ids(*model, "x"), IsEmpty());
}

TEST(BpeModelTest, UnknownCharactersFuseIfAsked) {
  BpeModelOptions options;
  options.unk_token = "<unk>";
  const PieceIds pieces = {{"<unk>", 0}, {"a", 1}};
  EXPECT_THAT(Ids(*Bpe(pieces, {}, options), "xya"), ElementsAre(0, 0, 1));
  options.fuse_unk = true;
  EXPECT_THAT(Ids(*Bpe(pieces, {}, options), "xyaz"), ElementsAre(0, 1, 0));
}

TEST(BpeModelTest, PrefixAndSuffix) {
  BpeModelOptions options;
  options.continuing_subword_prefix = "##";
  options.end_of_word_suffix = "</w>";
  const auto model = Bpe({{"a", 0}, {"##b", 1}, {"##b</w>", 2}, {"ab", 3}},
                         {{"a", "##b"}}, options);
  EXPECT_THAT(Ids(*model, "abb"), ElementsAre(3, 2));
}

PieceIds WithBytes(PieceIds pieces) {
  for (int byte = 0; byte < 256; ++byte) {
    const int32_t id = static_cast<int32_t>(pieces.size());
    pieces[absl::StrFormat("<0x%02X>", byte)] = id;
  }
  return pieces;
}

TEST(BpeModelTest, BytesStandForUnknownCharacters) {
  BpeModelOptions options;
  options.byte_fallback = true;
  options.unk_token = "a";
  const auto model = Bpe(WithBytes({{"a", 0}}), {}, options);
  EXPECT_THAT(Ids(*model, "a\u00e9"), ElementsAre(0, 1 + 0xC3, 1 + 0xA9));
}

TEST(BpeModelTest, AWholePieceCanGoBeforeItsMerges) {
  BpeModelOptions options;
  const PieceIds pieces = {{"a", 0}, {"b", 1}, {"ab", 2}};
  EXPECT_THAT(Ids(*Bpe(pieces, {}, options), "ab"), ElementsAre(0, 1));
  options.ignore_merges = true;
  EXPECT_THAT(Ids(*Bpe(pieces, {}, options), "ab"), ElementsAre(2));
}

TEST(BpeModelTest, MergesAreOfPieces) {
  const auto with = [](const char* left, const char* right) {
    return NewBpeModel({{"a", 0}, {"b", 1}, {"ab", 2}}, {{left, right}}, {});
  };
  EXPECT_OK(with("a", "b"));
  for (const auto& bad : {with("a", "a"), with("x", "b"), with("b", "a")}) {
    EXPECT_THAT(bad, StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("merge 0 is")));
  }
}

std::unique_ptr<PieceModel> Unigram(
    std::vector<std::pair<std::string, double>> pieces,
    UnigramModelOptions options = {}) {
  auto model = NewUnigramModel(std::move(pieces), options);
  EXPECT_OK(model);
  return *std::move(model);
}

TEST(UnigramModelTest, TheBestSumWins) {
  const auto model =
      Unigram({{"<unk>", 0}, {"a", -1}, {"b", -1}, {"ab", -1.5}, {"abb", -9}});
  EXPECT_THAT(Ids(*model, "ab"), ElementsAre(3));
  EXPECT_THAT(Ids(*model, "abb"), ElementsAre(3, 2));
  EXPECT_THAT(Ids(*model, "ba"), ElementsAre(2, 1));
}

TEST(UnigramModelTest, UnknownCharactersInARowAreOne) {
  const auto model = Unigram({{"<unk>", 0}, {"a", -1}});
  EXPECT_THAT(Ids(*model, "a영화a"), ElementsAre(1, 0, 1));
  EXPECT_THAT(Ids(*model, "영"), ElementsAre(0));
}

TEST(UnigramModelTest, BytesStandForUnknownCharacters) {
  std::vector<std::pair<std::string, double>> pieces = {{"<unk>", 0},
                                                        {"a", -1}};
  for (int byte = 0; byte < 256; ++byte) {
    pieces.push_back({absl::StrFormat("<0x%02X>", byte), -20});
  }
  UnigramModelOptions options;
  options.byte_fallback = true;
  EXPECT_THAT(Ids(*Unigram(pieces, options), "a\u00e9"),
              ElementsAre(1, 2 + 0xC3, 2 + 0xA9));
  EXPECT_THAT(Ids(*Unigram(pieces), "a\u00e9"), ElementsAre(1, 0));
}

TEST(UnigramModelTest, BadVocabulariesAreInvalid) {
  EXPECT_THAT(
      NewUnigramModel({}, {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no pieces")));
  UnigramModelOptions options;
  options.unk_id = 1;
  EXPECT_THAT(NewUnigramModel({{"a", 0}}, options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("unk_id is 1, expected 0 to 0")));
  EXPECT_THAT(NewUnigramModel({{"a", std::nan("")}}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("score of piece 0")));
}

}  // namespace
}  // namespace kodistil
