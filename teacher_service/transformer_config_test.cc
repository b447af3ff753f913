#include "teacher_service/transformer_config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Electra(absl::string_view fields) {
  return absl::StrCat(R"({"model_type": "electra")", fields.empty() ? "" : ", ",
                      fields, "}");
}

TEST(TransformerConfigTest, AbsentFieldsHaveDefaultsOfTheModelType) {
  ASSERT_OK_AND_ASSIGN(const TransformerConfig electra,
                       ParseTransformerConfig(Electra(""), "c.json"));
  EXPECT_EQ(electra.embedding_size, 128);
  EXPECT_EQ(electra.hidden_size, 256);
  EXPECT_EQ(electra.num_heads, 4);
  EXPECT_EQ(electra.intermediate_size, 1024);
  EXPECT_EQ(electra.num_labels, 2);
  EXPECT_TRUE(electra.has_projection());
  ASSERT_OK_AND_ASSIGN(
      const TransformerConfig bert,
      ParseTransformerConfig(R"({"model_type": "bert", "hidden_size": 24})",
                             "c.json"));
  EXPECT_EQ(bert.embedding_size, 24);
  EXPECT_EQ(bert.num_heads, 12);
  EXPECT_FALSE(bert.has_projection());
}

TEST(TransformerConfigTest, ReadsEveryField) {
  ASSERT_OK_AND_ASSIGN(
      const TransformerConfig config,
      ParseTransformerConfig(
          Electra(R"("vocab_size": 10, "embedding_size": 4, "hidden_size": 6,
                     "num_hidden_layers": 3, "num_attention_heads": 2,
                     "intermediate_size": 7, "max_position_embeddings": 9,
                     "type_vocab_size": 1, "layer_norm_eps": 1e-5,
                     "hidden_act": "gelu_new", "id2label": {"0": "a", "1": "b",
                     "2": "c"}, "num_labels": 3, "classifier_dropout": null,
                     "architectures": ["X"])"),
          "c.json"));
  EXPECT_EQ(config.vocab_size, 10);
  EXPECT_EQ(config.num_layers, 3);
  EXPECT_EQ(config.max_positions, 9);
  EXPECT_EQ(config.type_vocab_size, 1);
  EXPECT_EQ(config.num_labels, 3);
  EXPECT_EQ(config.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  const auto shapes = ExpectedTensors(config);
  EXPECT_THAT(shapes.at("electra.embeddings.word_embeddings.weight"),
              ElementsAre(10, 4));
  EXPECT_THAT(shapes.at("electra.embeddings_project.weight"),
              ElementsAre(6, 4));
  EXPECT_THAT(shapes.at("electra.encoder.layer.2.intermediate.dense.weight"),
              ElementsAre(7, 6));
  EXPECT_THAT(shapes.at("classifier.out_proj.weight"), ElementsAre(3, 6));
  EXPECT_EQ(shapes.size(), 5 + 2 + 3 * 16 + 4u);
}

TEST(TransformerConfigTest, UnknownModelTypeNamesFileFoundAndKnown) {
  const auto named =
      AllOf(HasSubstr("c.json"), HasSubstr("\"albert\""), HasSubstr("bert"),
            HasSubstr("electra"), HasSubstr("kodistil_ngram"));
  const std::string json = R"({"model_type": "albert"})";
  EXPECT_THAT(ReadModelType(json, "c.json"),
              StatusIs(absl::StatusCode::kInvalidArgument, named));
  EXPECT_THAT(ParseTransformerConfig(json, "c.json"),
              StatusIs(absl::StatusCode::kInvalidArgument, named));
  EXPECT_THAT(ReadModelType("{}", "c.json"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("c.json: no model_type")));
}

TEST(TransformerConfigTest, DamagedJsonIsDataLoss) {
  EXPECT_THAT(ParseTransformerConfig("{\"model_type\":", "c.json"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("c.json")));
  EXPECT_THAT(ParseTransformerConfig("[]", "c.json"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[]")));
}

struct Bad {
  std::string fields;
  std::vector<std::string> named;
};

TEST(TransformerConfigTest, BadValuesAreNamed) {
  const std::vector<Bad> table = {
      {R"("hidden_size": 0)", {"hidden_size is 0", "from 1"}},
      {R"("hidden_size": -8)", {"hidden_size is -8"}},
      {R"("hidden_size": 8.5)", {"hidden_size is 8.5"}},
      {R"("hidden_size": "8")", {"hidden_size is \"8\""}},
      {R"("vocab_size": 18446744073709551615)", {"vocab_size is 1844"}},
      {R"("num_hidden_layers": 100000)", {"num_hidden_layers", "1000"}},
      {R"("hidden_size": 30, "num_attention_heads": 4)",
       {"hidden_size is 30", "num_attention_heads", "4"}},
      {R"("layer_norm_eps": 0)", {"layer_norm_eps is 0"}},
      {R"("hidden_act": "mish")", {"hidden_act is \"mish\"", "gelu_new"}},
      {R"("hidden_act": 1)", {"hidden_act is 1"}},
      {R"("position_embedding_type": "relative_key")",
       {"position_embedding_type is \"relative_key\"", "\"absolute\""}},
      {R"("is_decoder": true)", {"is_decoder is true, expected false"}},
      {R"("problem_type": "regression")", {"problem_type is \"regression\""}},
      {R"("id2label": {"0": "x"})", {"number of labels is 1", "2 or more"}},
      {R"("id2label": ["a", "b"])", {"id2label", "an object"}},
      {R"("num_labels": 2, "id2label": {"0": "", "1": "", "2": ""})",
       {"num_labels is 2", "3, the size of id2label"}},
  };
  for (const Bad& bad : table) {
    for (const std::string& named : bad.named) {
      EXPECT_THAT(ParseTransformerConfig(Electra(bad.fields), "c.json"),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           AllOf(HasSubstr("c.json: "), HasSubstr(named))))
          << bad.fields;
    }
  }
}

TEST(TransformerConfigTest, StripAccentsFollowsLowerCaseUnlessSaid) {
  struct Case {
    std::string json;
    bool lower_case, strip_accents;
  };
  const std::vector<Case> table = {
      {"{}", true, true},
      {R"({"do_lower_case": false})", false, false},
      {R"({"do_lower_case": false, "strip_accents": null})", false, false},
      {R"({"do_lower_case": true, "strip_accents": false})", true, false},
      {R"({"do_lower_case": false, "strip_accents": true})", false, true},
  };
  for (const Case& given : table) {
    ASSERT_OK_AND_ASSIGN(const TokenizerConfig config,
                         ParseTokenizerConfig(given.json, "t.json"));
    EXPECT_EQ(config.lower_case, given.lower_case) << given.json;
    EXPECT_EQ(config.strip_accents, given.strip_accents) << given.json;
  }
}

TEST(TransformerConfigTest, TokenizerLimitsAndSpecialTokens) {
  ASSERT_OK_AND_ASSIGN(
      const TokenizerConfig config,
      ParseTokenizerConfig(
          R"({"model_max_length": 512, "tokenizer_class": "ElectraTokenizer",
              "unk_token": {"content": "[UNK]"}, "cls_token": "[CLS]",
              "tokenize_chinese_chars": false})",
          "t.json"));
  EXPECT_EQ(config.max_length, 512);
  EXPECT_FALSE(config.tokenize_chinese_chars);
  ASSERT_OK_AND_ASSIGN(
      const TokenizerConfig unlimited,
      ParseTokenizerConfig(
          R"({"model_max_length": 1000000000000000019884624838656})",
          "t.json"));
  EXPECT_EQ(unlimited.max_length, 0);
  for (const char* bad :
       {R"({"tokenizer_class": "XLNetTokenizer"})", R"({"unk_token": "<unk>"})",
        R"({"do_lower_case": 1})", R"({"model_max_length": "x"})",
        R"({"do_basic_tokenize": false})"}) {
    EXPECT_THAT(
        ParseTokenizerConfig(bad, "t.json"),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("t.json: ")))
        << bad;
  }
}

TEST(TransformerConfigTest, ReadsWhatHuggingFaceWrote) {
  REQUIRE_DATA_OR_SKIP();
  ASSERT_OK_AND_ASSIGN(const std::string json,
                       ReadFile(JoinPath(GoldenDir(), "electra/config.json")));
  ASSERT_OK_AND_ASSIGN(const TransformerConfig config,
                       ParseTransformerConfig(json, "config.json"));
  EXPECT_EQ(config.embedding_size, 16);
  EXPECT_EQ(config.hidden_size, 32);
  EXPECT_EQ(config.num_labels, 2);
  EXPECT_EQ(config.max_positions, 64);
}

}  // namespace
}  // namespace kodistil
