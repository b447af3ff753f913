#include "teacher_service/weights.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checkpoint_testing.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::StatusCode kRefused = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;

std::string Safetensors(const std::string& name, const std::string& bytes) {
  return SerializeSafetensors(
      {{name, {"U8", {static_cast<int64_t>(bytes.size())}, bytes}}}, {});
}

void Write(const std::string& dir, const std::string& name,
           const std::string& bytes) {
  ASSERT_OK(WriteFileAtomically(JoinPath(dir, name), bytes));
}

// A folder of two shards, one tensor each; `index` is written as it is.
std::string ShardedDir(const std::string& index) {
  const std::string dir = NewTestDir();
  Write(dir, "model-00001-of-00002.safetensors", Safetensors("a", "first"));
  Write(dir, "model-00002-of-00002.safetensors", Safetensors("b", "second"));
  Write(dir, "model.safetensors.index.json", index);
  return dir;
}

constexpr char kIndex[] = R"({"metadata": {"total_size": 11}, "weight_map": {)"
                          R"("a": "model-00001-of-00002.safetensors",)"
                          R"("b": "model-00002-of-00002.safetensors"}})";

TEST(WeightsTest, OneSafetensorsFile) {
  const std::string dir = NewTestDir();
  const std::string bytes = Safetensors("a", "xyz");
  Write(dir, "model.safetensors", bytes);
  ASSERT_OK_AND_ASSIGN(const Weights weights, OpenWeights(dir));
  EXPECT_EQ(weights.tensors().at("a").bytes, "xyz");
  EXPECT_EQ(weights.digest(), Sha256Hex(bytes));
  EXPECT_EQ(weights.path(), JoinPath(dir, "model.safetensors"));
  EXPECT_EQ(weights.container(), "safetensors");
  EXPECT_EQ(weights.file_bytes(), bytes.size());
}

TEST(WeightsTest, OnePyTorchFile) {
  const std::string dir = NewTestDir();
  const std::string bytes = MakeTorchCheckpoint({{"a", {{2}, {1, 2}}}});
  Write(dir, "pytorch_model.bin", bytes);
  ASSERT_OK_AND_ASSIGN(const Weights weights, OpenWeights(dir));
  EXPECT_EQ(weights.tensors().at("a").bytes.size(), 8u);
  EXPECT_EQ(weights.digest(), Sha256Hex(bytes));
  EXPECT_EQ(weights.container(), "PyTorch zip");
}

TEST(WeightsTest, ShardsOfSafetensors) {
  const std::string dir = ShardedDir(kIndex);
  ASSERT_OK_AND_ASSIGN(const Weights weights, OpenWeights(dir));
  ASSERT_EQ(weights.tensors().size(), 2u);
  EXPECT_EQ(weights.tensors().at("a").bytes, "first");
  EXPECT_EQ(weights.tensors().at("b").bytes, "second");
  EXPECT_EQ(weights.path(), JoinPath(dir, "model.safetensors.index.json"));
  EXPECT_EQ(weights.container(), "safetensors, 2 shards");
  // Another byte in any shard is another digest.
  Write(dir, "model-00002-of-00002.safetensors", Safetensors("b", "Second"));
  ASSERT_OK_AND_ASSIGN(const Weights changed, OpenWeights(dir));
  EXPECT_NE(changed.digest(), weights.digest());
}

TEST(WeightsTest, ShardsOfPyTorch) {
  const std::string dir = NewTestDir();
  Write(dir, "pytorch_model-00001-of-00002.bin",
        MakeTorchCheckpoint({{"a", {{1}, {1}}}}));
  Write(dir, "pytorch_model-00002-of-00002.bin",
        MakeTorchCheckpoint({{"b", {{1}, {2}}}, {"c", {{1}, {3}}}}));
  Write(dir, "pytorch_model.bin.index.json",
        R"({"weight_map": {"a": "pytorch_model-00001-of-00002.bin",)"
        R"( "b": "pytorch_model-00002-of-00002.bin",)"
        R"( "c": "pytorch_model-00002-of-00002.bin"}})");
  ASSERT_OK_AND_ASSIGN(const Weights weights, OpenWeights(dir));
  EXPECT_EQ(weights.tensors().size(), 3u);
  EXPECT_EQ(weights.container(), "PyTorch zip, 2 shards");
}

TEST(WeightsTest, ViewsOutliveAMove) {
  ASSERT_OK_AND_ASSIGN(Weights weights, OpenWeights(ShardedDir(kIndex)));
  const Weights moved = std::move(weights);
  EXPECT_EQ(moved.tensors().at("b").bytes, "second");
}

TEST(WeightsTest, SafetensorsGoesBeforePyTorch) {
  const std::string dir = ShardedDir(kIndex);
  Write(dir, "pytorch_model.bin", MakeTorchCheckpoint({{"c", {{1}, {1}}}}));
  EXPECT_EQ(OpenWeights(dir)->tensors().count("a"), 1u);
  Write(dir, "model.safetensors", Safetensors("d", "x"));
  EXPECT_EQ(OpenWeights(dir)->tensors().count("d"), 1u);
}

TEST(WeightsTest, FolderWithoutWeightsIsNotFound) {
  const std::string dir = NewTestDir();
  EXPECT_FALSE(HasWeights(dir));
  EXPECT_THAT(OpenWeights(dir),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr(dir), HasSubstr("model.safetensors, "),
                             HasSubstr("model.safetensors.index.json"),
                             HasSubstr("pytorch_model.bin, "),
                             HasSubstr("pytorch_model.bin.index.json"))));
  Write(dir, "pytorch_model.bin", "x");
  EXPECT_TRUE(HasWeights(dir));
}

TEST(WeightsTest, BadIndexIsRefused) {
  const auto map = [](const std::string& entries) {
    return absl::StrCat("{\"weight_map\": {", entries, "}}");
  };
  struct Case {
    std::string index;
    absl::StatusCode code;
    std::string message;
  };
  const std::string shard = "\"model-00001-of-00002.safetensors\"";
  const std::vector<Case> cases = {
      {"", kDamaged, "index.json: not JSON"},
      {"[]", kRefused, "weight_map is not there"},
      {"{}", kRefused, "weight_map is not there"},
      {"{\"weight_map\": {}}", kRefused, "weight_map is not one"},
      {"{\"weight_map\": []}", kRefused, "weight_map is not one"},
      {map("\"a\": 1"), kRefused, "tensor \"a\" is in \"1\", expected"},
      {map("\"a\": \"\""), kRefused, "tensor \"a\" is in \"\", expected"},
      {map("\"a\": \"../x.safetensors\""), kRefused, "\"../x.safetensors\""},
      {map("\"a\": \"/etc/x.safetensors\""), kRefused, "\"/etc/x.safetensors"},
      {map("\"a\": \"x/y.safetensors\""), kRefused, "\"x/y.safetensors\""},
      {map("\"a\": \".x.safetensors\""), kRefused, "\".x.safetensors\""},
      {map("\"a\": \"x\\u0000.safetensors\""), kRefused, "x\\x00.safetensors"},
      {map(absl::StrCat("\"a\": \"", std::string(4096, 'x'), "\"")), kRefused,
       "at most 128"},
      {map("\"a\": \"config.json\""), kRefused, "does not end in .safetensors"},
      {map("\"a\": \"none.safetensors\""), absl::StatusCode::kNotFound,
       "none.safetensors"},
      {map(absl::StrCat("\"a\": ", shard, ", \"b\": ", shard)), kRefused,
       "no tensor \"b\", which model.safetensors.index.json says is here"},
      {map("\"b\": \"model-00001-of-00002.safetensors\""), kRefused,
       "no tensor \"b\""},
      {map(absl::StrCat("\"a\": ", shard, ", \"a\": ", shard)), kDamaged,
       "the key \"a\" is there twice"},
      {std::string((16 << 20) + 1, ' '), kRefused, "expected at most 16777216"},
  };
  for (const Case& bad : cases) {
    EXPECT_THAT(OpenWeights(ShardedDir(bad.index)),
                StatusIs(bad.code, HasSubstr(bad.message)));
  }
  // The control: it is not refused whatever it says.
  EXPECT_OK(OpenWeights(ShardedDir(map(absl::StrCat("\"a\": ", shard)))));
}

TEST(WeightsTest, ShardWithMoreThanItsIndexSaysIsRefused) {
  const std::string dir = ShardedDir(kIndex);
  Write(dir, "model-00002-of-00002.safetensors",
        SerializeSafetensors({{"b", {"U8", {1}, "x"}}, {"z", {"U8", {0}, ""}}},
                             {}));
  EXPECT_THAT(OpenWeights(dir),
              StatusIs(kRefused, HasSubstr("00002.safetensors: tensor \"z\" is "
                                           "not in model.safetensors.index")));
}

TEST(WeightsTest, OldNamesAreRenamed) {
  EXPECT_EQ(CurrentTensorName("bert.embeddings.LayerNorm.gamma"),
            "bert.embeddings.LayerNorm.weight");
  EXPECT_EQ(CurrentTensorName("bert.embeddings.LayerNorm.beta"),
            "bert.embeddings.LayerNorm.bias");
  EXPECT_EQ(CurrentTensorName("alphabeta"), "alphabeta");
  EXPECT_EQ(CurrentTensorName("a.gamma.weight"), "a.gamma.weight");
  const std::string dir = NewTestDir();
  Write(dir, "model.safetensors", Safetensors("n.gamma", "x"));
  EXPECT_EQ(OpenWeights(dir)->tensors().count("n.weight"), 1u);
  Write(
      dir, "model.safetensors",
      SerializeSafetensors(
          {{"n.gamma", {"U8", {1}, "x"}}, {"n.weight", {"U8", {1}, "y"}}}, {}));
  EXPECT_THAT(OpenWeights(dir),
              StatusIs(kRefused, HasSubstr("there is another \"n.weight\"")));
}

TEST(WeightsTest, BuffersAreKnown) {
  for (const char* name :
       {"bert.embeddings.position_ids", "bert.embeddings.token_type_ids",
        "transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias",
        "transformer.decoder.block.0.layer.1.EncDecAttention."
        "relative_attention_bias.weight"}) {
    EXPECT_TRUE(IsBuffer(name)) << name;
  }
  for (const char* name :
       {"bert.embeddings.position_embeddings.weight", "position_ids",
        "transformer.h.0.attn.c_attn.bias", "bert.pooler.dense.bias",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias."
        "weight"}) {
    EXPECT_FALSE(IsBuffer(name)) << name;
  }
}

class GoldenWeightsTest : public ::testing::TestWithParam<std::string> {};

// Bit for bit; what only the PyTorch file has is tied or a buffer.
void ExpectSame(const Weights& weights, const Weights& reference) {
  for (const auto& [name, tensor] : reference.tensors()) {
    const auto found = weights.tensors().find(name);
    ASSERT_NE(found, weights.tensors().end()) << weights.path() << name;
    EXPECT_EQ(found->second.dtype, tensor.dtype) << name;
    EXPECT_EQ(found->second.shape, tensor.shape) << name;
    EXPECT_TRUE(found->second.bytes == tensor.bytes) << name;
  }
  for (const auto& [name, tensor] : weights.tensors()) {
    if (reference.tensors().count(name) > 0) continue;
    const bool tied = name.find("embed_tokens") != std::string::npos;
    EXPECT_TRUE(tied || IsBuffer(name)) << weights.path() << name;
  }
}

TEST_P(GoldenWeightsTest, PyTorchFilesEqualSafetensors) {
  REQUIRE_DATA_OR_SKIP();
  const std::string golden = JoinPath(GoldenDir(), GetParam());
  ASSERT_OK_AND_ASSIGN(const Weights reference, OpenWeights(golden));
  int seen = 0;
  for (const char* name : {"pytorch_model.bin", "pytorch_model_legacy.bin"}) {
    if (!FileExists(JoinPath(golden, name))) continue;
    const std::string dir = NewTestDir();
    ASSERT_OK_AND_ASSIGN(const std::string bytes,
                         ReadFile(JoinPath(golden, name)));
    Write(dir, "pytorch_model.bin", bytes);
    ASSERT_OK_AND_ASSIGN(const Weights weights, OpenWeights(dir));
    ExpectSame(weights, reference);
    ++seen;
  }
  EXPECT_GE(seen, 1);
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenWeightsTest,
                         ::testing::Values("bart", "bert", "big_bird",
                                           "big_bird_block_sparse",
                                           "distilbert", "electra",
                                           "electra_noproj", "gpt2", "roberta",
                                           "t5", "xlnet"));

}  // namespace
}  // namespace kodistil
