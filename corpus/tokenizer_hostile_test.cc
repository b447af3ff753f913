// Every loader against damaged files: bits that are flipped and ends that are
// cut off. What is refused is named; what is accepted can be used.

#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "corpus/tokenizer_loader.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

constexpr char kTestData[] = "corpus/testdata/tokenizers";

// The files of a folder, of which one is to be damaged.
struct Target {
  const char* name;
  std::string file;  // to be damaged
  std::vector<std::pair<std::string, std::string>> files;
  int tries;
};

std::string TestFile(const std::string& name) {
  const auto bytes = ReadFile(JoinPath(kTestData, name));
  EXPECT_OK(bytes);
  return bytes.ok() ? *bytes : "";
}

Target Json(const char* kind, int tries) {
  return {kind,
          "tokenizer.json",
          {{"tokenizer.json", TestFile(absl::StrCat(kind, "/tokenizer.json"))},
           {"tokenizer_config.json",
            TestFile(absl::StrCat(kind, "/tokenizer_config.json"))}},
          tries};
}

Target Model(const char* name, const char* file, const char* type) {
  return {name,
          file,
          {{file, TestFile(absl::StrCat("models/", name, ".model"))},
           {"config.json", absl::StrCat(R"({"model_type": ")", type, "\"}")}},
          400};
}

std::vector<std::pair<std::string, std::string>> BpeFiles() {
  const nlohmann::json file =
      nlohmann::json::parse(TestFile("gpt2/tokenizer.json"));
  std::string merges = "#version: 0.2\n";
  for (const auto& merge : file["model"]["merges"]) {
    absl::StrAppend(&merges, merge.get<std::string>(), "\n");
  }
  return {{"vocab.json", file["model"]["vocab"].dump()},
          {"merges.txt", merges},
          {"config.json", R"({"model_type": "gpt2"})"}};
}

std::vector<Target> Targets() {
  const std::string vocab =
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n영화\n##가\n가\nA\na\n";
  const std::string config =
      R"({"do_lower_case": false, "tokenizer_class": "BertTokenizer",
          "pad_token": "[PAD]", "model_max_length": 512,
          "added_tokens_decoder": {"4": {"content": "[MASK]",
                                         "lstrip": true}}})";
  return {Json("bert_cased", 200),
          Json("gpt2", 200),
          Json("bytes", 200),
          Json("t5", 200),
          Json("xlnet", 200),
          Json("splits_next", 600),
          Json("splits_head", 600),
          Model("t5", "spiece.model", "t5"),
          Model("xlnet", "spiece.model", "xlnet"),
          Model("kobert", "tokenizer_78b3253a26.model", "bert"),
          {"vocab.json", "vocab.json", BpeFiles(), 200},
          {"merges.txt", "merges.txt", BpeFiles(), 200},
          {"vocab.txt",
           "vocab.txt",
           {{"vocab.txt", vocab}, {"tokenizer_config.json", config}},
           400},
          {"tokenizer_config.json",
           "tokenizer_config.json",
           {{"vocab.txt", vocab}, {"tokenizer_config.json", config}},
           600}};
}

// Uses a tokenizer in every way.
void Use(const Tokenizer& tokenizer) {
  const int least = tokenizer.special_tokens(/*pair=*/true);
  std::vector<int32_t> types;
  for (const char* text : {"", "영화가 재미있다 A1,", " <s>[MASK]</s> \xFF",
                           "e\u0301\uff21\r\n"}) {
    const std::vector<int32_t> ids = tokenizer.Encode(text, 0, &types);
    EXPECT_EQ(ids.size(), types.size());
    for (const int32_t id : ids) {
      EXPECT_GE(id, 0);
      EXPECT_LT(id, tokenizer.vocab_size());
    }
    EXPECT_LE(tokenizer.EncodePair(text, "영화", least + 2, &types).size(),
              static_cast<size_t>(least + 2));
  }
}

// Loads the target with its file replaced; whether that was refused.
bool IsRefused(const Target& target, const std::string& folder,
               const std::string& content) {
  // Without the fsync of WriteFileAtomically, which would take most of it.
  std::ofstream(JoinPath(folder, target.file), std::ios::binary) << content;
  const auto loaded = LoadTokenizer(folder, TokenizerOptions());
  if (loaded.ok()) {
    Use(*loaded->tokenizer);
    return false;
  }
  const absl::StatusCode code = loaded.status().code();
  EXPECT_TRUE(code == absl::StatusCode::kInvalidArgument ||
              code == absl::StatusCode::kDataLoss ||
              code == absl::StatusCode::kNotFound)
      << loaded.status();
  EXPECT_THAT(std::string(loaded.status().message()),
              ::testing::HasSubstr(folder))
      << loaded.status();
  return true;
}

class TokenizerHostileTest : public ::testing::TestWithParam<int> {};

TEST_P(TokenizerHostileTest, DamageIsRefusedOrHarmless) {
  const Target target = Targets()[GetParam()];
  const std::string folder = NewTestDir();
  std::string good;
  for (const auto& [name, content] : target.files) {
    ASSERT_OK(WriteFileAtomically(JoinPath(folder, name), content));
    if (name == target.file) good = content;
  }
  // The control: undamaged it is accepted.
  ASSERT_FALSE(IsRefused(target, folder, good)) << target.name;
  Pcg32 random(/*seed=*/GetParam() + 1);
  int refused = 0;
  for (int i = 0; i < target.tries; ++i) {
    std::string bad = good;
    const uint32_t place = random.Below(bad.size());
    if (i % 4 == 0) {
      bad.resize(place);
    } else {
      bad[place] ^= 1 << random.Below(8);
    }
    refused += IsRefused(target, folder, bad);
  }
  EXPECT_GT(refused, target.tries / 20) << target.name;
}

INSTANTIATE_TEST_SUITE_P(Loaders, TokenizerHostileTest, ::testing::Range(0, 14),
                         [](const auto& info) {
                           std::string name = absl::StrCat(
                               info.param, "_", Targets()[info.param].name);
                           for (char& c : name) {
                             if (!isalnum(static_cast<unsigned char>(c))) {
                               c = '_';
                             }
                           }
                           return name;
                         });

}  // namespace
}  // namespace kodistil
