#include "serving/web_model.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/strip.h"
#include "base/testing.h"
#include "corpus/unicode.h"
#include "student_trainer/student_testing.h"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

StudentShape SmallShape() {
  StudentShape shape;
  shape.vocab_size = 40;
  shape.embedding_dim = 5;
  shape.hidden_dim = 7;
  shape.lstm_num_layers = 2;
  shape.num_classes = 3;
  return shape;
}

std::string ScriptOf(const StudentFolder& student) {
  WebModel model;
  model.student = &student;
  model.name = "small";
  model.card = {{"name", "small"}};
  return WebModelScript(model);
}

Json ModelOf(const StudentFolder& student) {
  const std::string script = ScriptOf(student);
  absl::string_view text = script;
  EXPECT_TRUE(
      absl::ConsumePrefix(&text, "'use strict';\nglobalThis.kodistilModel = "));
  EXPECT_TRUE(absl::ConsumeSuffix(&text, ";\n"));
  const Json json = Json::parse(std::string(text), nullptr, false);
  EXPECT_TRUE(json.is_object());
  return json;
}

template <class T>
std::vector<T> Values(const Json& base64) {
  std::string bytes;
  EXPECT_TRUE(absl::Base64Unescape(base64.get<std::string>(), &bytes));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

// Each value is within half a step of its row, `unit` being taken out.
void ExpectNear(const Json& matrix, const std::vector<float>& expected,
                float unit) {
  const auto integers = Values<int8_t>(matrix["values"]);
  const auto scales = Values<float>(matrix["scales"]);
  ASSERT_EQ(integers.size(), expected.size());
  const size_t columns = expected.size() / scales.size();
  for (size_t i = 0; i < expected.size(); ++i) {
    const float step = scales[i / columns] * unit;
    EXPECT_NEAR(integers[i] * step, expected[i], 0.501 * step) << i;
  }
}

// Within a step: so many bits are as exact as the float division.
void ExpectWide(const Json& matrix, const std::vector<float>& expected) {
  const auto high = Values<int16_t>(matrix["high"]);
  const auto low = Values<uint8_t>(matrix["low"]);
  const auto scales = Values<float>(matrix["scales"]);
  ASSERT_EQ(high.size(), expected.size());
  ASSERT_EQ(low.size(), expected.size());
  const size_t columns = expected.size() / scales.size();
  for (size_t i = 0; i < expected.size(); ++i) {
    const double step = scales[i / columns];
    EXPECT_NEAR((256.0 * high[i] + low[i]) * step, expected[i], 1.01 * step)
        << i;
  }
}

TEST(WebModelTest, HoldsTheWeightsOfTheKernel) {
  const StudentFolder student = RandomStudent(SmallShape(), /*seed=*/1);
  const Json model = ModelOf(student);
  const Json& tensors = model["tensors"];
  const float unit = model["state_scale"];
  EXPECT_EQ(unit, 127);
  ExpectWide(tensors["embedding"], student.weights.at("embedding.weight"));
  ExpectWide(tensors["layers"][0][1]["input"],
             student.weights.at("rnn.weight_ih_l0_reverse"));
  ExpectNear(tensors["layers"][0][0]["recurrent"],
             student.weights.at("rnn.weight_hh_l0"), unit);
  ExpectNear(tensors["layers"][1][0]["input"],
             student.weights.at("rnn.weight_ih_l1"), unit);
  EXPECT_EQ(Values<float>(tensors["head"]),
            student.weights.at("linear.weight"));
  EXPECT_EQ(Values<float>(tensors["head_bias"]),
            student.weights.at("linear.bias"));
  const auto bias = Values<float>(tensors["layers"][1][1]["bias"]);
  EXPECT_EQ(bias[3], student.weights.at("rnn.bias_ih_l1_reverse")[3] +
                         student.weights.at("rnn.bias_hh_l1_reverse")[3]);
}

// Whether the runs hold exactly the code points with the flag.
void ExpectRuns(const Json& runs, const CharTable& table, uint8_t flag) {
  std::vector<bool> found(0x110000, false);
  size_t at = 0;
  for (size_t i = 0; i + 1 < runs.size(); i += 2) {
    at += runs[i].get<size_t>();
    const size_t length = runs[i + 1];
    ASSERT_LE(at + length, found.size());
    std::fill_n(found.begin() + at, length, true);
    at += length;
  }
  for (char32_t c = 0; c < found.size(); ++c) {
    ASSERT_EQ(found[c], (table.Flags(c) & flag) != 0) << std::hex << c;
  }
}

TEST(WebModelTest, HoldsOurUnicodeTables) {
  StudentFolder student = RandomStudent(SmallShape(), /*seed=*/1);
  for (const bool slow : {false, true}) {
    student.tokenizer.slow = slow;
    student.tokenizer.strip_accents = true;
    const Json characters = ModelOf(student)["tokenizer"]["characters"];
    const CharTable& table =
        CharTable::Get(slow ? UnicodeRules::kSlow : UnicodeRules::kFast);
    ExpectRuns(characters["dropped"], table, kCharDropped);
    ExpectRuns(characters["space"], table, kCharSpace);
    ExpectRuns(characters["punctuation"], table, kCharPunctuation);
    ExpectRuns(characters["cjk"], table, kCharCjk);
    ExpectRuns(characters["nonspacing"], table, kCharNonspacing);
  }
}

TEST(WebModelTest, TheVocabularyEndsNoScript) {
  StudentFolder student = RandomStudent(SmallShape(), /*seed=*/1);
  student.vocab += "</script><!--\n\"'`${}\\\n";
  const std::string script = ScriptOf(student);
  EXPECT_EQ(script.find('<'), script.npos);
  EXPECT_EQ(ModelOf(student)["tokenizer"]["vocab"].get<std::string>(),
            student.vocab);
}

TEST(WebModelTest, TheSameStudentGivesTheSameBytes) {
  EXPECT_EQ(ScriptOf(RandomStudent(SmallShape(), 1)),
            ScriptOf(RandomStudent(SmallShape(), 1)));
  EXPECT_NE(ScriptOf(RandomStudent(SmallShape(), 1)),
            ScriptOf(RandomStudent(SmallShape(), 2)));
}

}  // namespace
}  // namespace kodistil
