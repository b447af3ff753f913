#include "serving/classify_json.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing.h"
#include "nlohmann/json.hpp"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

void ExpectBad(absl::string_view text, const std::string& field,
               const std::string& what) {
  const absl::Status status = ParseClassifyJson(text).status();
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)))
      << text.substr(0, 80);
  EXPECT_EQ(FieldOf(status), field) << text.substr(0, 80);
}

TEST(ParseClassifyJsonTest, ReadsAllKeys) {
  ASSERT_OK_AND_ASSIGN(
      const ClassifyJob job,
      ParseClassifyJson(
          R"( {"explain": true, "texts": ["좋다", "\ud83d\ude00\n"],
               "model": "tiny"} )"));
  EXPECT_THAT(job.texts, ElementsAre("좋다", "\xF0\x9F\x98\x80\n"));
  EXPECT_EQ(job.model, "tiny");
  EXPECT_TRUE(job.explain);
  EXPECT_FALSE(ParseClassifyJson(R"({"texts": ["a"]})")->explain);
}

TEST(ParseClassifyJsonTest, NamesTheFieldThatIsWrong) {
  ExpectBad(R"({"texts": ["a", 3]})", "texts[1]", "is a number");
  ExpectBad(R"({"texts": ["a", ["b"]]})", "texts[1]", "is a list");
  ExpectBad(R"({"texts": [{}]})", "texts[0]", "is an object");
  ExpectBad(R"({"texts": [null]})", "texts[0]", "is null");
  ExpectBad(R"({"texts": "a"})", "texts",
            "is a string; expected a list of strings");
  ExpectBad(R"({"texts": {}})", "texts", "is an object");
  ExpectBad(R"({"texts": ["a"], "model": 1})", "model",
            "is a number; expected a string");
  ExpectBad(R"({"texts": ["a"], "model": ""})", "model", "is empty");
  ExpectBad(R"({"texts": ["a"], "model": ["a"]})", "model", "is a list");
  ExpectBad(R"({"texts": ["a"], "explain": 1})", "explain",
            "is a number; expected true or false");
  ExpectBad(R"({"texts": ["a"], "explain": "true"})", "explain", "is a string");
  ExpectBad(R"({"text": ["a"]})", "text",
            "is not known; expected texts, model or explain");
  ExpectBad(R"({"texts": ["a"], "texts": ["b"]})", "texts", "is given twice");
  ExpectBad(R"({"model": "a"})", "texts", "is missing");
  std::string many = R"({"texts": ["a")";
  for (int i = 0; i < 64; ++i) many += ", \"a\"";
  ExpectBad(many + "]}", "texts", "has more than 64 texts");
}

TEST(ParseClassifyJsonTest, RefusesWhatIsNoObjectOfJson) {
  for (const char* bad :
       {"", " ", "{", "{\"texts\": [\"a\"]", "{\"texts\": [\"a\"]} x",
        "{texts: [\"a\"]}", "{\"texts\": ['a']}", "{\"texts\": [\"a\",]}",
        "{\"texts\": [\"\\ud800\"]}", "{\"texts\": [\"\xC0\xAF\"]}",
        "{\"texts\": [\"\xED\xA0\x80\"]}", "{\"texts\": [\"\xff\"]}",
        "{\"texts\": [\"a\nb\"]}", "{\"texts\": [NaN]}",
        "// x\n{\"texts\": [\"a\"]}"}) {
    ExpectBad(bad, "", "this is not JSON");
  }
  for (const char* bad : {"3", "\"a\"", "true", "null", "[]"}) {
    ExpectBad(bad, "", "expected an object with texts");
  }
}

// A parser that calls itself would run out of stack.
TEST(ParseClassifyJsonTest, RefusesDepth) {
  const std::string open(100000, '[');
  ExpectBad(open, "", "expected an object");
  ExpectBad(absl::StrCat("{\"texts\":", open), "texts[0]", "is a list");
  ExpectBad(absl::StrCat("{\"x\":", open), "x", "is not known");
}

class ClassificationJsonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = NewTestDir() + "/student";
    ASSERT_OK(SaveRandomStudent(folder, 1, classes_));
    ASSERT_OK_AND_ASSIGN(
        result_.model,
        StudentModel::Load("tiny", folder, InferencePrecision::kInt8));
    TextAnswer answer;
    answer.label = 1;
    answer.probabilities = {0.07f, 0.93f};
    answer.words = {{0, 2, 0.125f}, {3, 5, -1e-7f}};
    result_.answers = {answer, answer};
    result_.answers[1].label = 0;
  }

  int classes_ = 2;
  Classification result_;
};

TEST_F(ClassificationJsonTest, IsWhatTheContractSays) {
  EXPECT_EQ(ClassificationJson(result_),
            "{\"model\":\"tiny\",\"answers\":[{\"label\":1,\"name\":"
            "\"positive\",\"probabilities\":[0.07,0.93]},{\"label\":0,"
            "\"name\":\"negative\",\"probabilities\":[0.07,0.93]}]}\n");
  result_.explained = true;
  const Json json = Json::parse(ClassificationJson(result_));
  const Json words = json["answers"][0]["words"];
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0], (Json{{"begin", 0}, {"end", 2}, {"weight", 0.125}}));
  EXPECT_NEAR(words[1]["weight"].get<double>(), -1e-7, 1e-12);
  EXPECT_EQ(Json::parse(AnswerJson(result_))["name"], "positive");
}

TEST_F(ClassificationJsonTest, TellsOfTheModel) {
  const Json json = Json::parse(ModelJson(*result_.model));
  EXPECT_EQ(json["name"], "tiny");
  EXPECT_EQ(json["precision"], "int8");
  EXPECT_EQ(json["vocab_size"], 32);
  EXPECT_EQ(json["num_layers"], 1);
  EXPECT_EQ(json["parameters"], result_.model->shape().Parameters());
  EXPECT_EQ(json["card"], (Json{{"teacher", "ngram"},
                                {"dataset", "sample"},
                                {"temperature", 2},
                                {"loss_rate", 0.5},
                                {"loss_option", "kl_div"},
                                {"accuracy", 0.75},
                                {"seed", 3},
                                {"engine", "fast"}}));
  EXPECT_EQ(json["provenance"]["trial_id"], "t1");
  const Json list = Json::parse(ModelsJson({result_.model, result_.model}));
  EXPECT_EQ(list["models"][0],
            (Json{{"name", "tiny"}, {"default", true}, {"precision", "int8"}}));
  EXPECT_EQ(list["models"][1]["default"], false);
}

TEST(ModelJsonTest, WhatTheFolderDoesNotSayIsNull) {
  const std::string folder = NewTestDir() + "/student";
  StudentFolder student = RandomStudent(1, 3);
  student.provenance_json = "{}";
  ASSERT_OK(SaveStudent(student, folder));
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      StudentModel::Load("m", folder, InferencePrecision::kFp32));
  const Json json = Json::parse(ModelJson(*model));
  EXPECT_EQ(json["num_classes"], 3);
  ASSERT_EQ(json["card"].size(), 8u);
  for (const Json& value : json["card"]) EXPECT_TRUE(value.is_null());
}

TEST(ErrorJsonTest, NamesTheField) {
  EXPECT_EQ(Json::parse(ErrorJson(FieldError("texts[3]", "is \"x\""))),
            (Json{{"error", "texts[3]: is \"x\""}, {"field", "texts[3]"}}));
  EXPECT_EQ(Json::parse(ErrorJson(absl::NotFoundError("no"))),
            (Json{{"error", "no"}}));
}

}  // namespace
}  // namespace kodistil
