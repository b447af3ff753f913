#include "corpus/sentencepiece_model.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string FileOf(const char* name) {
  const absl::StatusOr<std::string> bytes = ReadFile(
      absl::StrCat("corpus/testdata/tokenizers/models/", name, ".model"));
  EXPECT_OK(bytes);
  return *bytes;
}

SentencePieceModel Small() {
  SentencePieceModel model;
  model.pieces = {{"<unk>", 0, SentencePieceModel::kUnknown},
                  {"<s>", 0, SentencePieceModel::kControl},
                  {"a", -1, SentencePieceModel::kNormal},
                  {"b", -2, SentencePieceModel::kUserDefined}};
  return model;
}

absl::Status Fault(const SentencePieceModel& model) {
  return SentencePieceModel::Parse(model.Serialize(), "dir/m").status();
}

TEST(SentencePieceModelTest, ReadsWhatATrainerWrote) {
  ASSERT_OK_AND_ASSIGN(const SentencePieceModel model,
                       SentencePieceModel::Parse(FileOf("kobert"), "kobert"));
  EXPECT_EQ(model.model_type, 2u);  // BPE
  EXPECT_EQ(model.pieces[0].text, "[UNK]");
  EXPECT_EQ(model.unk_id(), 0);
  EXPECT_EQ(model.Ids().at("[PAD]"), 1);
  EXPECT_TRUE(model.add_dummy_prefix);
  EXPECT_GT(model.precompiled_charsmap.size(), 1000u);
  EXPECT_GT(model.pieces.size(), 300u);
}

TEST(SentencePieceModelTest, WritesWhatItRead) {
  ASSERT_OK_AND_ASSIGN(const SentencePieceModel model,
                       SentencePieceModel::Parse(FileOf("xlnet"), "m"));
  ASSERT_OK_AND_ASSIGN(const SentencePieceModel again,
                       SentencePieceModel::Parse(model.Serialize(), "m"));
  ASSERT_EQ(again.pieces.size(), model.pieces.size());
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    EXPECT_EQ(again.pieces[id].text, model.pieces[id].text);
    EXPECT_EQ(again.pieces[id].score, model.pieces[id].score);
    EXPECT_EQ(again.pieces[id].type, model.pieces[id].type);
  }
  EXPECT_EQ(again.Serialize(), model.Serialize());
}

TEST(SentencePieceModelTest, BadPiecesAreNamed) {
  EXPECT_OK(Fault(Small()));
  const auto with = [](SentencePieceModel::Piece piece) {
    SentencePieceModel model = Small();
    model.pieces.push_back(std::move(piece));
    return Fault(model);
  };
  const auto invalid = [](const char* what) {
    return StatusIs(absl::StatusCode::kInvalidArgument,
                    AllOf(HasSubstr("dir/m: "), HasSubstr(what)));
  };
  EXPECT_THAT(with({"", 0, 1}), invalid("piece 4 of 0 bytes"));
  EXPECT_THAT(with({std::string(1001, 'x'), 0, 1}), invalid("of 1001 bytes"));
  EXPECT_THAT(with({"\xFF", 0, 1}), invalid("not UTF-8"));
  EXPECT_THAT(with({std::string("a\0b", 3), 0, 1}), invalid("zero bytes"));
  EXPECT_THAT(with({"c", std::nanf(""), 1}), invalid("not finite"));
  EXPECT_THAT(with({"c", 0, 7}), invalid("of type 7"));
  EXPECT_THAT(with({"a", 0, 1}), invalid("\"a\" that is there twice"));
  EXPECT_THAT(with({"u", 0, 2}), invalid("2 unknown pieces, expected one"));
  EXPECT_THAT(with({"<0x41>", 0, 6}), invalid("1 pieces for bytes"));
  // The two tables of names may share one.
  EXPECT_OK(with({"<s>", 0, 1}));
  SentencePieceModel other = Small();
  other.pieces[0].type = SentencePieceModel::kNormal;
  EXPECT_THAT(Fault(other), invalid("0 unknown pieces"));
  other = Small();
  other.model_type = 9;
  EXPECT_THAT(Fault(other), invalid("model_type is 9"));
  other = Small();
  other.precompiled_charsmap = "xxxxxxxx";
  EXPECT_THAT(Fault(other), invalid("precompiled_charsmap"));
  other = Small();
  other.byte_fallback = true;
  EXPECT_THAT(Fault(other), invalid("expected <0x00> to <0xFF>"));
  for (int byte = 0; byte < 256; ++byte) {
    other.pieces.push_back(
        {absl::StrFormat("<0x%02X>", byte), 0, SentencePieceModel::kByte});
  }
  EXPECT_OK(Fault(other));
}

TEST(SentencePieceModelTest, OtherFilesAreDataLoss) {
  for (const std::string& bad :
       {std::string("not a model at all"), std::string("\x0a\xff\xff\xff", 4),
        std::string("\x0b\x00", 2), std::string("\x08\x01", 2),
        std::string(20, '\xFF')}) {
    EXPECT_THAT(SentencePieceModel::Parse(bad, "dir/m"),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("dir/m: ")));
  }
  EXPECT_THAT(SentencePieceModel::Parse("", "dir/m"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("0 unknown pieces")));
}

}  // namespace
}  // namespace kodistil
