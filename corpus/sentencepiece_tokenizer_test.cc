#include "corpus/sentencepiece_tokenizer.h"

#include <algorithm>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "corpus/dataset.h"
#include "corpus/sample_generator.h"
#include "corpus/sentencepiece_model.h"
#include "corpus/sentencepiece_training.h"
#include "corpus/tokenizer_json.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FileOf(const std::string& name) {
  const absl::StatusOr<std::string> bytes = ReadFile(
      absl::StrCat("corpus/testdata/tokenizers/models/", name, ".model"));
  EXPECT_OK(bytes);
  return *bytes;
}

TokenizerSettings Of(TokenizerFamily family) {
  TokenizerSettings settings;
  settings.family = family;
  settings.extra_ids = 5;
  return settings;
}

std::unique_ptr<Tokenizer> New(const std::string& model,
                               const TokenizerSettings& settings,
                               const std::string& vocab = "") {
  auto tokenizer =
      NewSentencePieceTokenizer(model, "m.model", vocab, "vocab.txt", settings);
  EXPECT_OK(tokenizer);
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::vector<std::string> SampleTexts(int rows) {
  std::vector<std::string> texts;
  for (const Row& row : GenerateSample(rows, /*seed=*/1).rows)
    texts.push_back(row.text);
  return texts;
}

// The ids between the special tokens.
std::vector<int32_t> Inner(const Tokenizer& tokenizer, const std::string& text,
                           size_t before, size_t after) {
  const std::vector<int32_t> ids = tokenizer.Encode(text, 0);
  return {ids.begin() + before, ids.end() - after};
}

TEST(SentencePieceTokenizerTest, T5GivesTheLibrarysIds) {
  const std::string model = FileOf("t5");
  const auto tokenizer = New(model, Of(TokenizerFamily::kT5));
  for (const std::string& text : SampleTexts(200)) {
    const std::vector<int> expected = SentencePieceIds(model, text);
    EXPECT_THAT(Inner(*tokenizer, text, 0, 1),
                ::testing::ElementsAreArray(expected));
  }
  EXPECT_EQ(tokenizer->eos_id(), 1);
  EXPECT_EQ(tokenizer->pad_id(), 0);
}

TEST(SentencePieceTokenizerTest, T5HasExtraTokens) {
  ASSERT_OK_AND_ASSIGN(const SentencePieceModel model,
                       SentencePieceModel::Parse(FileOf("t5"), "m"));
  const int size = static_cast<int>(model.pieces.size());
  const auto tokenizer = New(FileOf("t5"), Of(TokenizerFamily::kT5));
  EXPECT_EQ(tokenizer->vocab_size(), size + 5);
  EXPECT_THAT(tokenizer->Encode("<extra_id_0><extra_id_4>", 0),
              ElementsAre(size + 4, size, 1));
  // An end that is there is not added again.
  EXPECT_THAT(tokenizer->Encode("</s>", 0), ElementsAre(1));
  EXPECT_THAT(tokenizer->EncodePair("</s>", "<pad>", 0, nullptr),
              ElementsAre(1, 0, 1));
}

// The slow tokenizer and the fast one that it is converted to agree on text
// that both normalise alike; the fast one is compared with Hugging Face's in
// tokenizer_oracle_test.
TEST(SentencePieceTokenizerTest, AgreesWithTheFastTokenizer) {
  const std::vector<std::string> texts = SampleTexts(1500);
  // With the library's own normalisation table, nmt_nfkc.
  const std::string model = TrainSentencePiece(
      texts, "--vocab_size=1200 --pad_id=0 --eos_id=1 --unk_id=2 --bos_id=-1");
  ASSERT_OK_AND_ASSIGN(const SentencePieceModel parsed,
                       SentencePieceModel::Parse(model, "m"));
  EXPECT_GT(parsed.precompiled_charsmap.size(), 200000u);
  nlohmann::json vocab = nlohmann::json::array();
  for (const auto& piece : parsed.pieces) {
    vocab.push_back({piece.text, piece.score});
  }
  const nlohmann::json file = {
      {"version", "1.0"},
      {"normalizer",
       {{"type", "Precompiled"},
        {"precompiled_charsmap",
         absl::Base64Escape(parsed.precompiled_charsmap)}}},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "WhitespaceSplit"}},
          {{"type", "Metaspace"}, {"replacement", "\u2581"}}}}}},
      {"model", {{"type", "Unigram"}, {"unk_id", 2}, {"vocab", vocab}}}};
  ASSERT_OK_AND_ASSIGN(
      const auto fast,
      ParseTokenizerJson(file.dump(), "tokenizer.json", {}, nullptr));
  const auto slow = New(model, Of(TokenizerFamily::kT5));
  std::vector<std::string> all = texts;
  all.insert(all.end(),
             {"", " ", "\uff21\uff22\u3000\u2460", "caf\u00e9 \u33a5 \ufb01",
              "a\u200bb \u00a0 c", "\U0001f600 좋아요\u2665"});
  int tokens = 0, ties = 0;
  for (const std::string& text : all) {
    std::vector<int32_t> ids = fast->Encode(text, 0);
    std::vector<int32_t> slow_ids = Inner(*slow, text, 0, 1);
    tokens += ids.size();
    if (slow_ids == ids) continue;
    // The library adds scores as floats, Hugging Face as doubles: "..." and "."
    // may change places where both sums are one in exact numbers.
    std::sort(ids.begin(), ids.end());
    std::sort(slow_ids.begin(), slow_ids.end());
    EXPECT_EQ(slow_ids, ids) << text;
    ++ties;
  }
  EXPECT_GT(tokens, 10000);
  EXPECT_LT(ties, 10);
}

TEST(SentencePieceTokenizerTest, XlnetPutsItsTokensLast) {
  const std::string model = FileOf("xlnet");
  const auto tokenizer = New(model, Of(TokenizerFamily::kXlnet));
  const int32_t sep = tokenizer->sep_id(), cls = tokenizer->cls_id();
  std::vector<int32_t> types;
  const std::vector<int32_t> ids = tokenizer->Encode("영화 <sep>", 0, &types);
  ASSERT_GE(ids.size(), 4u);
  EXPECT_THAT(std::vector<int32_t>(ids.end() - 3, ids.end()),
              ElementsAre(sep, sep, cls));
  EXPECT_EQ(types.back(), 2);
  const std::vector<int32_t> pair = tokenizer->EncodePair("a", "b", 0, &types);
  EXPECT_EQ(pair.size(), types.size());
  EXPECT_THAT(std::vector<int32_t>(types.end() - 3, types.end()),
              ElementsAre(1, 1, 2));
  // User-defined pieces of the model.
  EXPECT_THAT(Inner(*tokenizer, "<eop>", 0, 2),
              ElementsAre(SentencePieceIds(model, "<eop>").back()));
}

// A model of these pieces and XLNet's special tokens, which has no
// normalisation of its own.
std::string ModelOf(const std::vector<std::pair<std::string, float>>& pieces) {
  SentencePieceModel model;
  model.pieces = {{"<unk>", 0, SentencePieceModel::kUnknown},
                  {"<sep>", 0, SentencePieceModel::kControl},
                  {"<cls>", 0, SentencePieceModel::kControl},
                  {"<pad>", 0, SentencePieceModel::kControl}};
  for (const auto& [text, score] : pieces) {
    model.pieces.push_back({text, score, SentencePieceModel::kNormal});
  }
  return model.Serialize();
}

TEST(SentencePieceTokenizerTest, XlnetPreparesText) {
  const std::string model = ModelOf({{"\u2581", -1},
                                     {"a", -1},
                                     {"A", -1},
                                     {"e", -1},
                                     {"\u00e9", -1},
                                     {"\"", -1}});
  TokenizerSettings settings = Of(TokenizerFamily::kXlnet);
  const auto ids = [&](const std::string& text) {
    return Inner(*New(model, settings), text, 0, 2);
  };
  EXPECT_THAT(ids(" a\t \u3000 A\u001ce "), ElementsAre(4, 5, 4, 6, 4, 7));
  EXPECT_THAT(ids("``a''"), ElementsAre(4, 9, 5, 9));
  EXPECT_THAT(ids("\u00e9"), ElementsAre(4, 7));
  settings.do_lower_case = true;
  EXPECT_THAT(ids("A"), ElementsAre(4, 5));
  settings.keep_accents = true;
  EXPECT_THAT(ids("\u00c9"), ElementsAre(4, 8));
  settings.remove_space = false;
  EXPECT_THAT(ids("a\ta"), ElementsAre(4, 5, 0, 5));
}

// A comma after a number is a piece of its own (tokenization_xlnet.py).
TEST(SentencePieceTokenizerTest, ACommaIsCutOffANumber) {
  const std::string bytes = ModelOf({{"\u25819,", -1},
                                     {"\u2581", -3},
                                     {"9", -3},
                                     {",", -3},
                                     {"\u25819", -2},
                                     {"x", -3},
                                     {"9,", -1}});
  const auto xlnet = New(bytes, Of(TokenizerFamily::kXlnet));
  EXPECT_THAT(Inner(*xlnet, "9,", 0, 2), ElementsAre(8, 7));
  EXPECT_THAT(Inner(*xlnet, "x9,", 0, 2), ElementsAre(5, 9, 6, 7));
  EXPECT_THAT(Inner(*xlnet, "x,", 0, 2), ElementsAre(5, 9, 7));
}

// Byte-pair encoding with the library's own normalisation, nmt_nfkc, as KoBERT
// has it.
const std::string& KoBertModel() {
  static const auto* const kModel = new std::string(TrainSentencePiece(
      SampleTexts(1000),
      "--vocab_size=900 --model_type=bpe --unk_id=0 --unk_piece=[UNK] "
      "--pad_id=1 --pad_piece=[PAD] --bos_id=-1 --eos_id=-1 "
      "--control_symbols=[CLS],[SEP],[MASK]"));
  return *kModel;
}

TEST(SentencePieceTokenizerTest, KoBertTakesIdsFromItsVocabulary) {
  const std::string& model = KoBertModel();
  TokenizerSettings settings = Of(TokenizerFamily::kKoBert);
  const auto own = New(model, settings);
  EXPECT_THAT(own->Encode("", 0), ElementsAre(own->cls_id(), own->sep_id()));
  const std::vector<int> library = SentencePieceIds(model, "영화가 재미있다");
  EXPECT_THAT(Inner(*own, "영화가 재미있다", 1, 1),
              ::testing::ElementsAreArray(library));
  // A vocabulary that is the model's, backwards, and with spaces at the ends.
  ASSERT_OK_AND_ASSIGN(const SentencePieceModel parsed,
                       SentencePieceModel::Parse(model, "m"));
  std::string vocab;
  for (size_t i = parsed.pieces.size(); i-- > 0;) {
    absl::StrAppend(&vocab, " ", parsed.pieces[i].text, "\t\n");
  }
  const auto other = New(model, settings, vocab);
  const int last = static_cast<int>(parsed.pieces.size()) - 1;
  EXPECT_EQ(other->vocab_size(), last + 1);
  EXPECT_EQ(other->unk_id(), last - own->unk_id());
  std::vector<int32_t> expected;
  for (const int id : library) expected.push_back(last - id);
  EXPECT_EQ(Inner(*other, "영화가 재미있다", 1, 1), expected);
  std::vector<int32_t> types;
  const std::vector<int32_t> pair =
      other->EncodePair("[MASK]", "[SEP]", 0, &types);
  EXPECT_THAT(pair,
              ElementsAre(other->cls_id(), other->mask_id(), other->sep_id(),
                          other->sep_id(), other->sep_id()));
  EXPECT_THAT(types, ElementsAre(0, 0, 0, 1, 1));
}

// It takes syllables apart to drop accents; the model puts them together.
TEST(SentencePieceTokenizerTest, KoBertComposesHangul) {
  const auto tokenizer = New(KoBertModel(), Of(TokenizerFamily::kKoBert));
  EXPECT_EQ(tokenizer->Encode("\u110b\u1167\u11bc\u1112\u116a", 0),
            tokenizer->Encode("영화", 0));
  EXPECT_NE(tokenizer->Encode("영화", 0), tokenizer->Encode("여오", 0));
}

TEST(SentencePieceTokenizerTest, MissingSpecialTokensAreNamed) {
  const auto fault = [](const std::string& model, TokenizerFamily family) {
    return NewSentencePieceTokenizer(FileOf(model), "dir/m.model", "", "",
                                     Of(family))
        .status();
  };
  EXPECT_THAT(fault("t5", TokenizerFamily::kXlnet),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("dir/m.model: no piece for"),
                             HasSubstr("XLNetTokenizer"))));
  TokenizerSettings settings = Of(TokenizerFamily::kT5);
  settings.special_tokens["pad_token"].content = "<none>";
  EXPECT_THAT(
      NewSentencePieceTokenizer(FileOf("t5"), "m", "", "", settings).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"<none>\"")));
  EXPECT_THAT(
      NewSentencePieceTokenizer(FileOf("kobert"), "m", "[UNK]\n\xFF\n",
                                "dir/vocab.txt", Of(TokenizerFamily::kKoBert))
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("dir/vocab.txt:2: ")));
}

TEST(SentencePieceTokenizerTest, WhatTheLibraryRefusesIsInvalid) {
  EXPECT_THAT(
      NewSentencePieceTokenizer(ModelOf({}), "dir/m.model", "", "",
                                Of(TokenizerFamily::kXlnet))
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("dir/m.model: SentencePiece says: no pieces")));
}

TEST(SentencePieceTokenizerTest, IsThreadSafe) {
  const auto tokenizer = New(FileOf("t5"), Of(TokenizerFamily::kT5));
  const std::vector<std::string> texts = SampleTexts(50);
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& text : texts) {
    expected.push_back(tokenizer->Encode(text, 0));
  }
  std::vector<int> bad(4);
  std::vector<std::thread> threads;
  for (int& count : bad) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < texts.size(); ++i) {
        count += tokenizer->Encode(texts[i], 0) != expected[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(bad, ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace kodistil
