#include "corpus/json_reader.h"

#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

JsonFile Parsed(const std::string& text) {
  absl::StatusOr<JsonFile> file = JsonFile::Parse(text, "dir/x.json");
  EXPECT_OK(file);
  return *std::move(file);
}

TEST(JsonReaderTest, ReadsValuesByType) {
  const JsonFile file = Parsed(
      R"({"s": "a", "b": true, "n": 1.5, "i": 7, "l": [1, 2], "z": null})");
  const JsonNode root = file.root();
  EXPECT_EQ(root.Get("s").String(), "a");
  EXPECT_TRUE(root.Get("b").Bool());
  EXPECT_EQ(root.Get("n").Number(), 1.5);
  EXPECT_EQ(root.Get("i").Int(0, 7), 7);
  EXPECT_EQ(root.Get("l").Size(), 2u);
  EXPECT_EQ(root.Get("l").At(1).Int(0, 9), 2);
  EXPECT_FALSE(root.Find("z").present());
  EXPECT_FALSE(root.Find("absent").present());
  EXPECT_EQ(root.Find("absent").StringOr("f"), "f");
  EXPECT_TRUE(root.Find("z").BoolOr(true));
  EXPECT_OK(file.status());
}

TEST(JsonReaderTest, TheFirstFaultNamesFilePathFoundAndExpected) {
  const JsonFile file = Parsed(R"({"a": {"b/c": [true, "x"]}})");
  const JsonNode list = file.root().Get("a").Get("b/c");
  EXPECT_EQ(list.At(1).Int(0, 5), 0);
  EXPECT_EQ(list.At(0).String(), "");
  EXPECT_THAT(file.status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "dir/x.json: /a/b~1c/1 is \"x\", expected a whole "
                       "number from 0 to 5"));
}

TEST(JsonReaderTest, EachQuestionCanFail) {
  const auto fault = [](void (*ask)(const JsonNode&)) {
    const JsonFile file =
        Parsed(R"({"s": "a", "i": 7, "huge": 18446744073709551615})");
    ask(file.root());
    return std::string(file.status().message());
  };
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("none"); }),
              HasSubstr("/none is missing"));
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("s").Get("t"); }),
              HasSubstr("/s is \"a\", expected an object"));
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("i").Size(); }),
              HasSubstr("/i is 7, expected a list"));
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("i").Bool(); }),
              HasSubstr("expected true or false"));
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("s").Number(); }),
              HasSubstr("expected a number"));
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("i").Int(8, 9); }),
              HasSubstr("/i is 7, expected a whole number from 8 to 9"));
  EXPECT_THAT(fault([](const JsonNode& n) { n.Get("huge").Int(0, 9); }),
              HasSubstr("/huge is 18446744073709551615"));
  EXPECT_THAT(fault([](const JsonNode& n) {
                n.OnlyKeys({"s", "i"});
              }),
              HasSubstr("/huge is not known here, expected one of s, i"));
}

TEST(JsonReaderTest, WhatIsNoObjectIsRefused) {
  EXPECT_THAT(JsonFile::Parse("{", "x"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("x: not JSON")));
  EXPECT_THAT(JsonFile::Parse("{\"a\": \"\xFF\"}", "x"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not JSON")));
  EXPECT_THAT(JsonFile::Parse("[1]", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("[1]"), HasSubstr("JSON object"))));
  const std::string deep(100000, '[');
  EXPECT_THAT(JsonFile::Parse(deep, "x"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("deeper")));
  EXPECT_OK(JsonFile::Parse("{\"a\": \"[[\\\"{" + deep + "\"}", "x"));
}

TEST(JsonReaderTest, LongValuesAreShownInPart) {
  EXPECT_EQ(ShownJson(nlohmann::json::array({1, "a"})), "[1,\"a\"]");
  nlohmann::json vocab = nlohmann::json::object();
  for (int i = 0; i < 500; ++i) vocab[absl::StrCat("piece", i)] = i;
  EXPECT_EQ(ShownJson(vocab), "an object of 500");
  EXPECT_EQ(ShownJson(std::string(500, 'a')).size(), 83u);
}

// -10.255711555480957 / serde_json: 10255711555480957 is more than 2^53, so it
// is rounded once as an integer and once more by the division.
TEST(JsonReaderTest, NumbersAreAsSerdeReadsThem) {
  EXPECT_EQ(AsSerdeReads(-10.255711555480957), -10.255711555480955);
  EXPECT_EQ(AsSerdeReads(-7.029289245605469), -7.029289245605469);
  for (const double same :
       {0.0, -1.0, 7.0, -7.5, 1e22, 0.0001234, -0.1, 123456789.0, 1e-300}) {
    EXPECT_EQ(AsSerdeReads(same), same);
  }
  EXPECT_TRUE(std::isnan(AsSerdeReads(std::nan(""))));
}

}  // namespace
}  // namespace kodistil
