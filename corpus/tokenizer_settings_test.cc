#include "corpus/tokenizer_settings.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A folder with those files.
std::string FolderWith(
    const std::vector<std::pair<std::string, std::string>>& files) {
  const std::string folder = NewTestDir();
  for (const auto& [name, content] : files) {
    EXPECT_OK(WriteFileAtomically(JoinPath(folder, name), content));
  }
  return folder;
}

TokenizerSettings Read(
    const std::vector<std::pair<std::string, std::string>>& files) {
  const auto settings = ReadTokenizerSettings(FolderWith(files));
  EXPECT_OK(settings);
  return settings.ok() ? *settings : TokenizerSettings();
}

TEST(TokenizerSettingsTest, NothingIsKnownOfAnEmptyFolder) {
  const TokenizerSettings settings = Read({});
  EXPECT_EQ(settings.family, TokenizerFamily::kOther);
  EXPECT_EQ(settings.named_by, "");
  EXPECT_FALSE(settings.do_lower_case.has_value());
  EXPECT_EQ(settings.model_max_length, 0);
  EXPECT_EQ(settings.SpecialToken("pad_token"), "");
}

TEST(TokenizerSettingsTest, TheModelTypeSuggestsAFamily) {
  const auto family = [](const char* type) {
    return Read(
        {{"config.json", absl::StrCat(R"({"model_type": ")", type, "\"}")}});
  };
  EXPECT_EQ(family("electra").family, TokenizerFamily::kBert);
  EXPECT_EQ(family("bart").family, TokenizerFamily::kRoberta);
  EXPECT_EQ(family("gpt2").family, TokenizerFamily::kGpt2);
  EXPECT_EQ(family("mt5").family, TokenizerFamily::kT5);
  EXPECT_EQ(family("xlnet").family, TokenizerFamily::kXlnet);
  EXPECT_EQ(family("big_bird").family, TokenizerFamily::kOther);
  EXPECT_EQ(family("electra").named_by, "");
  EXPECT_EQ(family("electra").SpecialToken("mask_token"), "[MASK]");
}

TEST(TokenizerSettingsTest, TheClassDecides) {
  // As KLUE publishes its RoBERTa.
  const TokenizerSettings klue =
      Read({{"config.json", R"({"model_type": "roberta"})"},
            {"tokenizer_config.json",
             R"({"tokenizer_class": "BertTokenizerFast",
                 "do_lower_case": false, "strip_accents": null,
                 "model_max_length": 512})"}});
  EXPECT_EQ(klue.family, TokenizerFamily::kBert);
  EXPECT_THAT(klue.named_by, HasSubstr("tokenizer_config.json: "));
  EXPECT_FALSE(*klue.do_lower_case);
  EXPECT_FALSE(klue.strip_accents.has_value());
  EXPECT_EQ(klue.model_max_length, 512);
  // config.json's class counts where there is no other.
  EXPECT_EQ(Read({{"config.json",
                   R"({"model_type": "gpt2",
                       "tokenizer_class": "PreTrainedTokenizerFast"})"}})
                .family,
            TokenizerFamily::kOther);
  // As SKT publishes KoBERT.
  const char* xlnet = R"({"tokenizer_class": "XLNetTokenizer"})";
  EXPECT_EQ(Read({{"config.json", R"({"model_type": "bert"})"},
                  {"tokenizer_config.json", xlnet}})
                .family,
            TokenizerFamily::kKoBert);
  EXPECT_EQ(Read({{"config.json", R"({"model_type": "xlnet"})"},
                  {"tokenizer_config.json", xlnet}})
                .family,
            TokenizerFamily::kXlnet);
}

TEST(TokenizerSettingsTest, SpecialTokensAreStringsOrObjects) {
  const TokenizerSettings settings =
      Read({{"tokenizer_config.json",
             R"({"tokenizer_class": "RobertaTokenizer", "pad_token": "<p>",
            "mask_token": {"content": "<m>", "lstrip": true},
            "added_tokens_decoder": {"7": {"content": "<x>", "rstrip": true}},
            "model_max_length": 1e30})"},
            {"special_tokens_map.json", R"({"pad_token": "<q>"})"},
            {"added_tokens.json", R"({"<y>": 8})"}});
  EXPECT_EQ(settings.SpecialToken("pad_token"), "<q>");
  EXPECT_EQ(settings.SpecialToken("cls_token"), "<s>");
  EXPECT_TRUE(settings.special_tokens.at("mask_token").lstrip);
  ASSERT_THAT(settings.added_tokens, SizeIs(2));
  EXPECT_EQ(settings.added_tokens[0].content, "<x>");
  EXPECT_EQ(settings.added_tokens[0].id, 7);
  EXPECT_TRUE(settings.added_tokens[0].rstrip);
  EXPECT_EQ(settings.added_tokens[1].id, 8);
  EXPECT_EQ(settings.model_max_length, 0);
}

TEST(TokenizerSettingsTest, IdentityFollowsWhatDecidesIds) {
  const auto identity = [](const char* config) {
    return Read({{"tokenizer_config.json", config}}).Identity();
  };
  const std::string plain = identity("{}");
  EXPECT_EQ(identity(R"({"model_max_length": 5, "name_or_path": "x"})"), plain);
  for (const char* other :
       {R"({"tokenizer_class": "T5Tokenizer"})", R"({"do_lower_case": true})",
        R"({"do_lower_case": false})", R"({"strip_accents": true})",
        R"({"pad_token": "x"})", R"({"extra_ids": 3})",
        R"({"pad_token": {"content": "x", "lstrip": true}})",
        R"({"added_tokens_decoder": {"1": {"content": "x"}}})"}) {
    EXPECT_NE(identity(other), plain) << other;
  }
}

TEST(TokenizerSettingsTest, FaultsNameFileFieldFoundAndExpected) {
  const auto fault = [](const char* name, const char* content) {
    return ReadTokenizerSettings(FolderWith({{name, content}})).status();
  };
  constexpr char kConfig[] = "tokenizer_config.json";
  const auto invalid = [](const char* what) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what));
  };
  EXPECT_THAT(fault(kConfig, "{"),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("tokenizer_config.json: not JSON")));
  EXPECT_THAT(fault(kConfig, R"({"tokenizer_class": "LlamaTokenizer"})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("\"LlamaTokenizer\""),
                             HasSubstr("XLNetTokenizer"))));
  EXPECT_THAT(fault(kConfig, R"({"do_lower_case": 1})"),
              invalid("/do_lower_case is 1, expected true or false"));
  EXPECT_THAT(fault(kConfig, R"({"pad_token": ""})"),
              invalid("/pad_token is \"\""));
  EXPECT_THAT(fault(kConfig, R"({"pad_token": {"lstrip": true}})"),
              invalid("/pad_token/content is missing"));
  EXPECT_THAT(fault(kConfig, R"({"do_basic_tokenize": false})"),
              invalid("/do_basic_tokenize is false, expected true"));
  EXPECT_THAT(fault(kConfig, R"({"truncation_side": "left"})"),
              invalid("/truncation_side is \"left\""));
  EXPECT_THAT(fault(kConfig, R"({"model_max_length": 1})"),
              invalid("/model_max_length is 1"));
  EXPECT_THAT(fault(kConfig, R"({"tokenizer_class": "GPT2Tokenizer",
                         "add_bos_token": true})"),
              invalid("/add_bos_token is true, expected false"));
  EXPECT_THAT(fault(kConfig, R"({"added_tokens_decoder": {"x": "y"}})"),
              invalid("/added_tokens_decoder/x"));
  EXPECT_THAT(fault("added_tokens.json", R"({"y": -1})"),
              invalid("added_tokens.json: /y is -1"));
  EXPECT_THAT(fault("special_tokens_map.json", R"({"cls_token": 3})"),
              invalid("special_tokens_map.json: /cls_token is 3"));
}

}  // namespace
}  // namespace kodistil
