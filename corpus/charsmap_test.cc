#include "corpus/charsmap.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "corpus/sentencepiece_model.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// The table of a small model; the rules are in tools/tokenizer_oracle.
std::string Blob() {
  const absl::StatusOr<std::string> bytes =
      ReadFile("corpus/testdata/tokenizers/models/t5.model");
  EXPECT_OK(bytes);
  const absl::StatusOr<SentencePieceModel> model =
      SentencePieceModel::Parse(*bytes, "t5.model");
  EXPECT_OK(model);
  return model->precompiled_charsmap;
}

std::string Normalized(const Charsmap& map, std::string text) {
  bool head_lost = false;
  map.Normalize(&text, &head_lost);
  return text;
}

TEST(CharsmapTest, ReplacesCharactersAndClusters) {
  ASSERT_OK_AND_ASSIGN(const Charsmap map, Charsmap::Parse(Blob(), "m"));
  EXPECT_EQ(Normalized(map, "영화 a"), "영화 a");
  EXPECT_EQ(Normalized(map, "\uff21\uff01\u2460"), "A!1");
  EXPECT_EQ(Normalized(map, "a\tb\u3000c"), "a b c");
  EXPECT_EQ(Normalized(map, "a\u00adb\u0001"), "ab");
  EXPECT_EQ(Normalized(map, "e\u0301"), "\u00e9");
  EXPECT_EQ(Normalized(map, "a\r\nb"), "a b");
  // A syllable of three letters is a cluster of nine bytes: it is not replaced
  // as a whole, as in Hugging Face and unlike SentencePiece.
  EXPECT_EQ(Normalized(map, "\u1112\u1161\u11ab"), "\u1112\u1161\u11ab");
}

TEST(CharsmapTest, ALostHeadIsTold) {
  ASSERT_OK_AND_ASSIGN(const Charsmap map, Charsmap::Parse(Blob(), "m"));
  bool lost = false;
  std::string text = "a\u00ad";
  map.Normalize(&text, &lost);
  EXPECT_FALSE(lost);
  text = "\u00ada";
  map.Normalize(&text, &lost);
  EXPECT_TRUE(lost);
}

TEST(CharsmapTest, DamagedTablesAreRefused) {
  const std::string blob = Blob();
  for (const std::string& bad :
       {std::string(), blob.substr(0, 3), blob.substr(0, 100),
        blob.substr(0, blob.size() - 1), blob + "x", blob + "\xFF",
        std::string(4, '\0') + blob.substr(4),
        std::string(4, '\xFF') + blob.substr(4)}) {
    EXPECT_THAT(Charsmap::Parse(bad, "dir/m"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("dir/m: the precompiled_charsmap")));
  }
}

// Whatever is accepted can be used; of those with a bad bit some are not.
TEST(CharsmapTest, EveryBitCanBeWrong) {
  const std::string blob = Blob();
  Pcg32 random(/*seed=*/1);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bad = blob;
    bad[random.Below(bad.size())] ^= 1 << random.Below(8);
    const absl::StatusOr<Charsmap> map = Charsmap::Parse(bad, "m");
    if (!map.ok()) {
      ++refused;
      continue;
    }
    for (const char* text : {"\uff21e\u0301\r\n\u00ad영화\u33a5", "\xf0\x9f"}) {
      const std::string out = Normalized(*map, text);
      EXPECT_LT(out.size(), bad.size() * 20);
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 2900);
}

TEST(CharsmapTest, GraphemeClusters) {
  const auto length = [](absl::string_view text) {
    return GraphemeLength(text);
  };
  EXPECT_EQ(length("ab"), 1u);
  EXPECT_EQ(length("\r\na"), 2u);
  EXPECT_EQ(length("\n\u0301"), 1u);
  EXPECT_EQ(length("e\u0301\u0301x"), 5u);
  EXPECT_EQ(length("가나"), 3u);
  EXPECT_EQ(length("\u1112\u1161\u11ab\u1112"), 9u);
  EXPECT_EQ(length("가\u11a8"), 6u);
  EXPECT_EQ(length("각\u1161"), 3u);
  // A family, two flags, a flag and half of one, Thai with a vowel.
  EXPECT_EQ(length("\U0001f468\u200d\U0001f469a"), 11u);
  EXPECT_EQ(length("\U0001f1f0\U0001f1f7\U0001f1fa\U0001f1f8"), 8u);
  EXPECT_EQ(length("\U0001f1f0a"), 4u);
  EXPECT_EQ(length("\u0e01\u0e33x"), 6u);
  EXPECT_EQ(length("\u0600\u0661"), 4u);
  EXPECT_EQ(length("a\u200db"), 4u);
}

}  // namespace
}  // namespace kodistil
