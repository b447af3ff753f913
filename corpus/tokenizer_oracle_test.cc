// Every tokenizer.json of testdata/tokenizers against the ids that Hugging
// Face's tokenizers gave (tools/tokenizer_oracle).

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/testing.h"
#include "corpus/json_reader.h"
#include "corpus/tokenizer_loader.h"

namespace kodistil {
namespace {

using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kTestData[] = "corpus/testdata/tokenizers";

struct Case {
  std::string text;
  std::string second;
  bool is_pair = false;
  int max_length = 0;
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // empty: all zero

  std::string ToString() const {
    return absl::StrCat("\"", text, "\"", is_pair ? " and \"" : "",
                        is_pair ? second + "\"" : "", ", max_length ",
                        max_length);
  }
};

absl::StatusOr<JsonFile> ReadJson(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return JsonFile::Parse(*text, path);
}

std::vector<int32_t> Ids(const JsonNode& node) {
  std::vector<int32_t> ids;
  for (size_t i = 0; node.is_array() && i < node.Size(); ++i) {
    ids.push_back(static_cast<int32_t>(node.At(i).Int(0, INT32_MAX)));
  }
  return ids;
}

std::vector<std::string> ReadTexts() {
  absl::StatusOr<JsonFile> file = ReadJson(JoinPath(kTestData, "texts.json"));
  EXPECT_OK(file);
  std::vector<std::string> texts;
  const JsonNode list = file->root().Get("texts");
  for (size_t i = 0; i < list.Size(); ++i) {
    texts.push_back(list.At(i).String());
  }
  EXPECT_OK(file->status());
  return texts;
}

std::vector<Case> ReadCases(const std::string& kind) {
  const std::vector<std::string> texts = ReadTexts();
  absl::StatusOr<JsonFile> file =
      ReadJson(JoinPath(JoinPath(kTestData, kind), "cases.json"));
  EXPECT_OK(file);
  std::vector<Case> cases;
  const JsonNode list = file->root().Get("cases");
  for (size_t i = 0; i < list.Size(); ++i) {
    const JsonNode node = list.At(i);
    Case entry;
    const int64_t last = texts.size() - 1;
    entry.text = texts[node.At(0).Int(0, last)];
    const int64_t second = node.At(1).Int(-1, last);
    entry.is_pair = second >= 0;
    if (entry.is_pair) entry.second = texts[second];
    entry.max_length = static_cast<int>(node.At(2).Int(0, 1000));
    entry.ids = Ids(node.At(3));
    entry.type_ids = Ids(node.At(4));
    cases.push_back(std::move(entry));
  }
  EXPECT_OK(file->status());
  return cases;
}

// What `tokenizer` answers otherwise.
std::vector<std::string> Differences(const Tokenizer& tokenizer,
                                     const std::vector<Case>& cases) {
  std::vector<std::string> differences;
  for (const Case& entry : cases) {
    std::vector<int32_t> types;
    const std::vector<int32_t> ids =
        entry.is_pair ? tokenizer.EncodePair(entry.text, entry.second,
                                             entry.max_length, &types)
                      : tokenizer.Encode(entry.text, entry.max_length, &types);
    std::vector<int32_t> expected_types = entry.type_ids;
    if (expected_types.empty()) expected_types.resize(entry.ids.size());
    if (ids == entry.ids && types == expected_types) continue;
    differences.push_back(absl::StrCat(
        entry.ToString(), "\n  expected ", absl::StrJoin(entry.ids, " "),
        "\n  found    ", absl::StrJoin(ids, " "), "\n  types    ",
        absl::StrJoin(types, " ")));
  }
  return differences;
}

LoadedTokenizer Load(const std::string& folder) {
  absl::StatusOr<LoadedTokenizer> loaded =
      LoadTokenizer(folder, TokenizerOptions());
  EXPECT_OK(loaded);
  return loaded.ok() ? *std::move(loaded) : LoadedTokenizer();
}

class TokenizerOracleTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerOracleTest, GivesHuggingFacesIds) {
  const LoadedTokenizer loaded = Load(JoinPath(kTestData, GetParam()));
  const std::vector<Case> cases = ReadCases(GetParam());
  EXPECT_GT(cases.size(), 190u);
  EXPECT_THAT(Differences(*loaded.tokenizer, cases), IsEmpty());
  int32_t largest = 0;
  for (const Case& entry : cases) {
    for (const int32_t id : entry.ids) largest = std::max(largest, id);
  }
  EXPECT_LT(largest, loaded.tokenizer->vocab_size());
}

TEST(TokenizerOracleControlTest, AnotherTokenizerDiffers) {
  const LoadedTokenizer uncased = Load(JoinPath(kTestData, "bert_uncased"));
  EXPECT_THAT(Differences(*uncased.tokenizer, ReadCases("bert_cased")),
              SizeIs(Gt(30u)));
  const LoadedTokenizer t5 = Load(JoinPath(kTestData, "t5"));
  EXPECT_THAT(Differences(*t5.tokenizer, ReadCases("mt5")), SizeIs(Gt(30u)));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, TokenizerOracleTest,
    ::testing::Values("bert_cased", "bert_uncased", "bytes", "gpt2", "kobart",
                      "kogpt2", "mt5", "roberta", "splits_gpt2", "splits_head",
                      "splits_next", "splits_previous", "splits_words", "t5",
                      "xlnet"),
    [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kodistil
