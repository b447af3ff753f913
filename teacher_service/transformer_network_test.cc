#include "teacher_service/transformer_network.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/safetensors.h"
#include "base/testing.h"
#include "teacher_service/tiny_transformer.h"
#include "teacher_service/torch_device.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

// The control of the golden tests: it sees a type or a mask that is ignored.
TEST(TransformerNetworkTest, MaskAndTypesChangeLogits) {
  const std::string dir = NewTestDir();
  ASSERT_OK(TinyTransformer("electra").Write(dir));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TokenNetwork> network,
                       LoadTransformer(dir, "cpu"));
  TokenBatch batch;
  batch.rows = 3;
  batch.columns = 4;
  batch.ids = {2, 5, 6, 3, 2, 5, 6, 3, 2, 5, 6, 3};
  batch.mask = {1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1};
  batch.type_ids = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> logits,
                       network->Forward(batch));
  ASSERT_EQ(logits.size(), 9u);
  EXPECT_GT(std::abs(logits[0] - logits[3]), 1e-3);
  EXPECT_GT(std::abs(logits[0] - logits[6]), 1e-3);
}

TEST(TransformerNetworkTest, PaddingIdsDoNotMatter) {
  for (const char* type : {"bert", "electra"}) {
    const std::string dir = NewTestDir();
    ASSERT_OK(TinyTransformer(type).Write(dir));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TokenNetwork> network,
                         LoadTransformer(dir, "cpu"));
    TokenBatch batch;
    batch.rows = 1;
    batch.columns = 5;
    batch.ids = {2, 5, 3, 0, 0};
    batch.mask = {1, 1, 1, 0, 0};
    batch.type_ids = {0, 0, 0, 0, 0};
    ASSERT_OK_AND_ASSIGN(const std::vector<float> zeros,
                         network->Forward(batch));
    batch.ids = {2, 5, 3, 7, 9};
    batch.type_ids = {0, 0, 0, 1, 1};
    ASSERT_OK_AND_ASSIGN(const std::vector<float> others,
                         network->Forward(batch));
    // The weight of padding is exactly 0.
    EXPECT_EQ(zeros, others);
  }
}

TEST(TransformerNetworkTest, PartsOnTwoThreadsAreTheBatchOnOne) {
  const std::string dir = NewTestDir();
  ASSERT_OK(TinyTransformer("electra").Write(dir));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TokenNetwork> network,
                       LoadTransformer(dir, "cpu"));
  TokenBatch batch;
  batch.rows = 40;
  batch.columns = 6;
  batch.type_ids.assign(batch.rows * batch.columns, 0);
  for (int64_t row = 0; row < batch.rows; ++row) {
    for (int64_t column = 0; column < batch.columns; ++column) {
      batch.ids.push_back(2 + (row + column) % 9);
      batch.mask.push_back(column <= row % batch.columns);
    }
  }
  SetTorchThreads(1);
  ASSERT_EQ(TorchThreads(), 1);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> one, network->Forward(batch));
  SetTorchThreads(2);
  ASSERT_EQ(TorchThreads(), 2);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> two, network->Forward(batch));
  EXPECT_THAT(two, Pointwise(FloatNear(1e-5), one));
}

TEST(TransformerNetworkTest, InfoTellsSizes) {
  const std::string dir = NewTestDir();
  const TinyTransformer tiny("bert");
  ASSERT_OK(tiny.Write(dir));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TokenNetwork> network,
                       LoadTransformer(dir, "auto"));
  uint64_t parameters = 0;
  for (const auto& [name, shape] : tiny.shapes) {
    uint64_t elements = 1;
    for (int64_t size : shape) elements *= size;
    parameters += elements;
  }
  EXPECT_EQ(network->info().parameters, parameters);
  EXPECT_EQ(network->info().num_classes, 3);
  EXPECT_EQ(network->info().model_type, "bert");
  EXPECT_EQ(network->info().max_positions, 24);
}

TEST(TransformerNetworkTest, BatchesItCannotTakeAreInvalid) {
  const std::string dir = NewTestDir();
  ASSERT_OK(TinyTransformer("bert").Write(dir));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TokenNetwork> network,
                       LoadTransformer(dir, "cpu"));
  const auto forward = [&](std::vector<int64_t> ids, std::vector<int64_t> mask,
                           std::vector<int64_t> types) {
    TokenBatch batch;
    batch.rows = 1;
    batch.columns = ids.size();
    batch.ids = std::move(ids);
    batch.mask = std::move(mask);
    batch.type_ids = std::move(types);
    return network->Forward(batch);
  };
  EXPECT_OK(forward({2, 11}, {1, 1}, {0, 1}));
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(forward({2, 12}, {1, 1}, {0, 0}),
              StatusIs(code, HasSubstr("row 0: id 12, the vocabulary has 12")));
  EXPECT_THAT(forward({2, -1}, {1, 1}, {0, 0}),
              StatusIs(code, HasSubstr("id -1")));
  EXPECT_THAT(forward({2, 3}, {1, 1}, {0, 2}),
              StatusIs(code, HasSubstr("token type 2")));
  EXPECT_THAT(forward({2, 3}, {0, 0}, {0, 0}),
              StatusIs(code, HasSubstr("no token")));
  EXPECT_THAT(forward({2, 3}, {1, 2}, {0, 0}),
              StatusIs(code, HasSubstr("mask value 2")));
  EXPECT_THAT(forward({2, 3}, {1}, {0, 0}),
              StatusIs(code, HasSubstr("1 mask")));
  EXPECT_THAT(forward(std::vector<int64_t>(25, 2), std::vector<int64_t>(25, 1),
                      std::vector<int64_t>(25, 0)),
              StatusIs(code, HasSubstr("25 tokens, the model takes 24")));
}

TEST(TransformerNetworkTest, NamesMissingSurplusAndMisshapenTensors) {
  const std::string dir = NewTestDir();
  TinyTransformer tiny("electra");
  tiny.shapes.erase("electra.encoder.layer.1.output.dense.bias");
  tiny.shapes["classifier.out_proj.weight"] = {2, 8};
  tiny.shapes["electra.encoder.layer.2.output.dense.bias"] = {8};
  tiny.shapes["electra.embeddings.position_ids"] = {1, 24};
  ASSERT_OK(tiny.Write(dir));
  EXPECT_THAT(
      LoadTransformer(dir, "cpu"),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          AllOf(HasSubstr(JoinPath(dir, "model.safetensors")),
                HasSubstr("electra.encoder.layer.1.output.dense.bias [8] is "
                          "missing"),
                HasSubstr("classifier.out_proj.weight is [2, 8], config.json "
                          "says [3, 8]"),
                HasSubstr("electra.encoder.layer.2.output.dense.bias [8] is "
                          "unexpected"),
                Not(HasSubstr("position_ids")))));
}

TEST(TransformerNetworkTest, PositionIdsAreIgnored) {
  const std::string dir = NewTestDir();
  TinyTransformer tiny("bert");
  tiny.shapes["bert.embeddings.position_ids"] = {1, 24};
  ASSERT_OK(tiny.Write(dir));
  EXPECT_OK(LoadTransformer(dir, "cpu"));
}

TEST(TransformerNetworkTest, ManyFaultsAreCounted) {
  const std::string dir = NewTestDir();
  TinyTransformer tiny("bert");
  tiny.shapes = {{"x", {1}}};
  ASSERT_OK(tiny.Write(dir));
  EXPECT_THAT(
      LoadTransformer(dir, "cpu"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("; and 18 more")));
}

TEST(TransformerNetworkTest, TruncatedWeightsAreDataLoss) {
  const std::string dir = NewTestDir();
  const TinyTransformer tiny("electra");
  ASSERT_OK(tiny.Write(dir));
  const std::string path = JoinPath(dir, "model.safetensors");
  const std::string bytes = tiny.Weights();
  ASSERT_OK(WriteFileAtomically(path, bytes.substr(0, bytes.size() / 2)));
  EXPECT_THAT(LoadTransformer(dir, "cpu"),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr(path), HasSubstr("cut short"))));
}

TEST(TransformerNetworkTest, NotANumberAmongWeightsIsDataLoss) {
  const std::string dir = NewTestDir();
  const TinyTransformer tiny("electra");
  ASSERT_OK(tiny.Write(dir));
  std::string bytes = tiny.Weights();
  const float bad = std::numeric_limits<float>::quiet_NaN();
  bytes.replace(bytes.size() - 4, 4, reinterpret_cast<const char*>(&bad), 4);
  ASSERT_OK(WriteFileAtomically(JoinPath(dir, "model.safetensors"), bytes));
  EXPECT_THAT(LoadTransformer(dir, "cpu"),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("output.dense.weight holds nan")));
}

TEST(TransformerNetworkTest, IntegerWeightsAreInvalid) {
  const std::string dir = NewTestDir();
  const TinyTransformer tiny("electra");
  ASSERT_OK(tiny.Write(dir));
  const std::string bytes =
      absl::StrReplaceAll(tiny.Weights(), {{"\"F32\"", "\"I32\""}});
  ASSERT_OK(WriteFileAtomically(JoinPath(dir, "model.safetensors"), bytes));
  EXPECT_THAT(
      LoadTransformer(dir, "cpu"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"I32\"")));
}

TEST(TransformerNetworkTest, MissingFilesAreNotFound) {
  const std::string dir = NewTestDir();
  EXPECT_THAT(LoadTransformer(dir, "cpu"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
  ASSERT_OK(WriteFileAtomically(JoinPath(dir, "config.json"),
                                TinyTransformer("bert").config));
  EXPECT_THAT(
      LoadTransformer(dir, "cpu"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("model.safetensors")));
}

TEST(TransformerNetworkTest, DevicesThatAreNotThere) {
  const std::string dir = NewTestDir();
  ASSERT_OK(TinyTransformer("bert").Write(dir));
  EXPECT_THAT(LoadTransformer(dir, "tpu"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected auto, cpu or cuda:N")));
  EXPECT_THAT(
      LoadTransformer(dir, "cuda:99"),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cuda:99")));
}

}  // namespace
}  // namespace kodistil
