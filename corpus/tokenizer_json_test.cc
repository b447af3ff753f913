#include "corpus/tokenizer_json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file whose parts can be replaced.
struct File {
  std::string model =
      R"({"type": "WordPiece", "unk_token": "[UNK]",
          "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
          "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "A": 4,
                    "##b": 5, "\u00e9": 6, "e": 7}})";
  std::string added = "[]";
  std::string normalizer = "null";
  std::string pre_tokenizer = R"({"type": "BertPreTokenizer"})";
  std::string processor = "null";

  std::string Text() const {
    return absl::StrCat(
        R"({"version": "1.0", "truncation": {"max_length": 3}, "padding": null,
            "added_tokens": )",
        added, R"(, "normalizer": )", normalizer, R"(, "pre_tokenizer": )",
        pre_tokenizer, R"(, "post_processor": )", processor,
        R"(, "decoder": {"type": "WordPiece"}, "model": )", model, "}");
  }

  absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(
      const TokenizerSettings& settings = {}) const {
    return ParseTokenizerJson(Text(), "dir/tokenizer.json", settings,
                              /*morphemes=*/nullptr);
  }

  std::vector<int32_t> Encode(const std::string& text,
                              const TokenizerSettings& settings = {}) const {
    const auto tokenizer = Parse(settings);
    EXPECT_OK(tokenizer);
    return tokenizer.ok() ? (*tokenizer)->Encode(text, 0)
                          : std::vector<int32_t>();
  }

  // The message of the fault.
  std::string Fault() const {
    const auto tokenizer = Parse();
    EXPECT_THAT(tokenizer, StatusIs(absl::StatusCode::kInvalidArgument,
                                    HasSubstr("dir/tokenizer.json")));
    return std::string(tokenizer.status().message());
  }
};

std::string FaultOfModel(const std::string& model) {
  File file;
  file.model = model;
  return file.Fault();
}

std::string FaultOfNormalizer(const std::string& normalizer) {
  File file;
  file.normalizer = normalizer;
  return file.Fault();
}

std::string FaultOfPreTokenizer(const std::string& pre_tokenizer) {
  File file;
  file.pre_tokenizer = pre_tokenizer;
  return file.Fault();
}

std::string FaultOfProcessor(const std::string& processor) {
  File file;
  file.processor = processor;
  return file.Fault();
}

std::string FaultOfAdded(const std::string& added) {
  File file;
  file.added = added;
  return file.Fault();
}

TEST(TokenizerJsonTest, ReadsAWordPieceFile) {
  File file;
  file.processor =
      R"({"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]})";
  EXPECT_THAT(file.Encode("ab x"), ElementsAre(1, 3, 5, 0, 2));
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, file.Parse());
  EXPECT_EQ(tokenizer->vocab_size(), 8);
  EXPECT_EQ(tokenizer->pad_id(), -1);
}

TEST(TokenizerJsonTest, IllFormedTextReadsAsReplacementCharacters) {
  EXPECT_THAT(File().Encode("a\xFFz a"), ElementsAre(0, 3));
  EXPECT_EQ(File().Encode("a\xFF"), File().Encode("a\uFFFD"));
}

// tokenization_bert_fast.py puts its own options into a BertNormalizer.
TEST(TokenizerJsonTest, ABertTokenizerHasTheLastWordOnItsNormalizer) {
  File file;
  file.normalizer =
      R"({"type": "BertNormalizer", "clean_text": true, "lowercase": false,
          "handle_chinese_chars": true, "strip_accents": null})";
  TokenizerSettings settings;
  EXPECT_THAT(file.Encode("A \u00e9", settings), ElementsAre(4, 6));
  settings.family = TokenizerFamily::kBert;
  settings.do_lower_case = false;
  EXPECT_THAT(file.Encode("A \u00e9", settings), ElementsAre(4, 6));
  settings.strip_accents = true;
  EXPECT_THAT(file.Encode("A \u00e9", settings), ElementsAre(4, 7));
  // Lower-casing is the class's default, and drops accents unless told.
  settings.do_lower_case.reset();
  settings.strip_accents.reset();
  EXPECT_THAT(file.Encode("A \u00e9", settings), ElementsAre(3, 7));
  settings.strip_accents = false;
  EXPECT_THAT(file.Encode("A \u00e9", settings), ElementsAre(3, 6));
}

// tokenization_gpt2_fast.py does the same with add_prefix_space.
TEST(TokenizerJsonTest, AGpt2TokenizerHasTheLastWordOnItsPrefix) {
  File file;
  file.model =
      R"({"type": "BPE", "vocab": {"a": 0, "\u0120": 1}, "merges": []})";
  file.pre_tokenizer =
      R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true})";
  EXPECT_THAT(file.Encode("a"), ElementsAre(1, 0));
  TokenizerSettings settings;
  settings.family = TokenizerFamily::kGpt2;
  EXPECT_THAT(file.Encode("a", settings), ElementsAre(0));
  settings.add_prefix_space = true;
  EXPECT_THAT(file.Encode("a", settings), ElementsAre(1, 0));
}

TEST(TokenizerJsonTest, NamedSpecialTokensMustBeThere) {
  TokenizerSettings settings;
  settings.family = TokenizerFamily::kBert;
  settings.do_lower_case = false;
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, File().Parse(settings));
  EXPECT_EQ(tokenizer->cls_id(), 1);
  EXPECT_EQ(tokenizer->pad_id(), -1);  // the class's, which may be missing
  settings.special_tokens["pad_token"].content = "[PAD]";
  EXPECT_THAT(
      File().Parse(settings),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("no token \"[PAD]\", which is the pad_token")));
}

TEST(TokenizerJsonTest, AddedTokensComeAfterThePieces) {
  File file;
  file.added = R"([{"id": 2, "content": "[SEP]", "special": true},
                   {"id": 8, "content": "<x>", "special": true},
                   {"id": 9, "content": "a a", "normalized": true}])";
  EXPECT_THAT(file.Encode("a<x>[SEP]a a"), ElementsAre(3, 8, 2, 9));
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, file.Parse());
  EXPECT_EQ(tokenizer->vocab_size(), 10);
}

TEST(TokenizerJsonTest, UnsupportedModelsAreNamed) {
  EXPECT_THAT(FaultOfModel(R"({"type": "WordLevel", "vocab": {}})"),
              HasSubstr("/model/type is \"WordLevel\", expected one of BPE, "
                        "Unigram, WordPiece"));
  EXPECT_THAT(FaultOfModel(R"({"type": "BPE", "dropout": 0.1, "vocab": {},
                               "merges": []})"),
              HasSubstr("/model/dropout is 0.1, expected null"));
  EXPECT_THAT(FaultOfModel(R"({"type": "BPE", "vocab": {"a": 0},
                               "merges": ["a a a"]})"),
              HasSubstr("/model/merges/0 is \"a a a\", expected two pieces"));
  EXPECT_THAT(FaultOfModel(R"({"type": "BPE", "vocab": {"a": 0},
                               "merges": [["a", "b"]]})"),
              HasSubstr("/model cannot be read: merge 0 is \"a b\""));
  EXPECT_THAT(FaultOfModel(R"({"type": "BPE", "vocab": {"a": -1},
                               "merges": []})"),
              HasSubstr("/model/vocab/a is -1, expected an id from 0"));
  EXPECT_THAT(FaultOfModel(R"({"type": "BPE", "vocab": {"a": 16777216},
                               "merges": []})"),
              HasSubstr("/model/vocab/a is 16777216"));
  EXPECT_THAT(FaultOfModel(R"({"type": "BPE", "vocab": {}, "merges": [],
                               "cache": 5})"),
              HasSubstr("/model/cache is not known here"));
  EXPECT_THAT(FaultOfModel(R"({"type": "Unigram", "unk_id": null,
                               "vocab": [["a", 0]]})"),
              HasSubstr("/model/unk_id is null"));
  EXPECT_THAT(FaultOfModel(R"({"type": "Unigram", "unk_id": 0,
                               "vocab": [["a", "b"]]})"),
              HasSubstr("/model/vocab/0 is [\"a\",\"b\"], expected a piece"));
  EXPECT_THAT(FaultOfModel(R"({"type": "WordPiece", "unk_token": "u",
                               "continuing_subword_prefix": "",
                               "max_input_chars_per_word": 0, "vocab": {}})"),
              HasSubstr("/model/max_input_chars_per_word is 0"));
  EXPECT_THAT(FaultOfModel("null"), HasSubstr("/model"));
}

TEST(TokenizerJsonTest, UnsupportedNormalizersAreNamed) {
  EXPECT_THAT(FaultOfNormalizer(R"({"type": "Nmt"})"),
              HasSubstr("/normalizer/type is \"Nmt\", expected one of Bert"));
  EXPECT_THAT(
      FaultOfNormalizer(
          R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
                      {"type": "Replace", "pattern": {"Regex": "[0-9]+"},
                       "content": ""}]})"),
      HasSubstr("/normalizer/normalizers/1/pattern/Regex is \"[0-9]+\", "
                "expected one of"));
  EXPECT_THAT(FaultOfNormalizer(R"({"type": "Precompiled",
                                    "precompiled_charsmap": "###"})"),
              HasSubstr("/precompiled_charsmap is \"###\", expected base64"));
  EXPECT_THAT(FaultOfNormalizer(R"({"type": "Precompiled",
                                    "precompiled_charsmap": "AAAA"})"),
              HasSubstr("/precompiled_charsmap is damaged"));
  EXPECT_THAT(FaultOfNormalizer(R"({"type": "NFC", "x": 1})"),
              HasSubstr("/normalizer/x is not known here"));
  std::string deep = R"({"type": "NFC"})";
  for (int i = 0; i < 20; ++i) {
    deep = absl::StrCat(R"({"type": "Sequence", "normalizers": [)", deep, "]}");
  }
  EXPECT_THAT(FaultOfNormalizer(deep), HasSubstr("nested too deep"));
}

TEST(TokenizerJsonTest, UnsupportedPreTokenizersAreNamed) {
  EXPECT_THAT(FaultOfPreTokenizer(R"({"type": "UnicodeScripts"})"),
              HasSubstr("/pre_tokenizer/type is \"UnicodeScripts\""));
  EXPECT_THAT(FaultOfPreTokenizer(
                  R"({"type": "Split", "pattern": {"Regex": "(?i:'s)|x"},
                      "behavior": "Isolated", "invert": false})"),
              HasSubstr("/pre_tokenizer/pattern/Regex is \"(?i:'s)|x\""));
  EXPECT_THAT(FaultOfPreTokenizer(
                  R"({"type": "Split", "pattern": {"String": "x"},
                      "behavior": "Dropped", "invert": false})"),
              HasSubstr("/pre_tokenizer/behavior is \"Dropped\""));
  EXPECT_THAT(
      FaultOfPreTokenizer(R"({"type": "Metaspace", "replacement": "ab"})"),
      HasSubstr("/pre_tokenizer/replacement is \"ab\", expected one "
                "character"));
  EXPECT_THAT(FaultOfPreTokenizer(
                  R"({"type": "Metaspace", "replacement": "_",
                      "prepend_scheme": "last"})"),
              HasSubstr("/prepend_scheme is \"last\""));
  EXPECT_THAT(FaultOfPreTokenizer(
                  R"({"type": "Metaspace", "replacement": "_",
                      "add_prefix_space": false,
                      "prepend_scheme": "first"})"),
              HasSubstr("/prepend_scheme is \"first\", expected \"never\""));
}

TEST(TokenizerJsonTest, UnsupportedProcessorsAreNamed) {
  EXPECT_THAT(FaultOfProcessor(R"({"type": "Other"})"),
              HasSubstr("/post_processor/type is \"Other\""));
  EXPECT_THAT(
      FaultOfProcessor(
          R"({"type": "BertProcessing", "sep": ["x"], "cls": ["y", 1]})"),
      HasSubstr("/post_processor/sep"));
  EXPECT_THAT(
      FaultOfProcessor(
          R"({"type": "BertProcessing", "sep": ["x", 99],
                      "cls": ["y", 1]})"),
      HasSubstr("/post_processor adds the id 99, expected less than 8"));
  const std::string single = R"("single": [{"Sequence": {"id": "A",
                                            "type_id": 0}}])";
  EXPECT_THAT(FaultOfProcessor(absl::StrCat(
                  R"({"type": "TemplateProcessing", "special_tokens": {}, )",
                  single, R"(, "pair": []})")),
              HasSubstr("/post_processor/pair does not have A once"));
  EXPECT_THAT(FaultOfProcessor(
                  R"({"type": "TemplateProcessing", "special_tokens": {},
              "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
              "pair": []})"),
              HasSubstr("/post_processor/special_tokens/x is missing"));
  const std::string bert = R"({"type": "BertProcessing", "sep": ["x", 2],
                               "cls": ["y", 1]})";
  EXPECT_THAT(
      FaultOfProcessor(absl::StrCat(R"({"type": "Sequence", "processors": [)",
                                    bert, ",", bert, "]}")),
      HasSubstr("/post_processor/processors/1/type would be the second"));
}

TEST(TokenizerJsonTest, InconsistentAddedTokensAreNamed) {
  EXPECT_THAT(FaultOfAdded(R"([{"id": 5, "content": "a"}])"),
              HasSubstr("/added_tokens/0/id is 5, expected 3, the id of that "
                        "piece"));
  EXPECT_THAT(FaultOfAdded(R"([{"id": 50, "content": "new"}])"),
              HasSubstr("/added_tokens/0/id is 50, expected 8, the next free"));
  EXPECT_THAT(FaultOfAdded(R"([{"id": 8, "content": ""}])"),
              HasSubstr("/added_tokens/0/content is \"\""));
  File file;
  file.added = R"([{"id": 8, "content": "\u0301", "normalized": true}])";
  file.normalizer = R"({"type": "StripAccents"})";
  EXPECT_THAT(file.Fault(), HasSubstr("nothing is left of the added token"));
}

TEST(TokenizerJsonTest, OtherVersionsAndKeysAreNamed) {
  File file;
  const auto parse = [](const std::string& text) {
    return ParseTokenizerJson(text, "f", {}, nullptr).status();
  };
  EXPECT_THAT(parse(absl::StrReplaceAll(file.Text(), {{"1.0", "2.0"}})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("/version is \"2.0\"")));
  EXPECT_THAT(parse(absl::StrReplaceAll(file.Text(), {{"padding", "pad"}})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("/pad is not known here")));
  EXPECT_THAT(parse("x"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("f: not JSON")));
}

// Files of before tokenizers 0.9 name no type, and no options that came later.
TEST(TokenizerJsonTest, OldFilesAreRead) {
  File file;
  file.model = R"({"dropout": null, "unk_token": "<unk>",
                   "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false,
                   "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3},
                   "merges": ["a b"]})";
  EXPECT_THAT(file.Encode("ab x"), ElementsAre(3, 0));
}

}  // namespace
}  // namespace kodistil
