#include "student_trainer/converter.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checkpoint_testing.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kVocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n좋\n##아\n";

// Tensors of a student of 6 pieces, E 2, H 3, with values that tell them
// apart.
std::map<std::string, FloatTensorForTest> SmallStudent(int layers) {
  StudentShape shape{/*vocab_size=*/6, /*embedding_dim=*/2, /*hidden_dim=*/3,
                     layers, /*num_classes=*/2};
  std::map<std::string, FloatTensorForTest> tensors;
  float value = 0;
  for (const auto& [name, dims] : shape.Tensors()) {
    FloatTensorForTest& tensor = tensors[name];
    size_t elements = 1;
    for (const int64_t dim : dims) {
      tensor.shape.push_back(dim);
      elements *= dim;
    }
    for (size_t i = 0; i < elements; ++i) tensor.values.push_back(++value);
  }
  return tensors;
}

class ConverterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = NewTestDir();
    options_.checkpoint = JoinPath(folder, "m.pt");
    options_.vocab = JoinPath(folder, "vocab.txt");
    options_.output = JoinPath(folder, "student");
    ASSERT_OK(WriteFileAtomically(options_.vocab, kVocab));
  }

  absl::StatusOr<StudentFolder> Convert(
      const std::map<std::string, FloatTensorForTest>& tensors) {
    const absl::Status written =
        WriteFileAtomically(options_.checkpoint, MakeTorchCheckpoint(tensors));
    if (!written.ok()) return written;
    return ConvertCheckpoint(options_);
  }

  ConvertOptions options_;
};

TEST_F(ConverterTest, FolderHoldsShapeWeightsAndVocabulary) {
  for (const int layers : {1, 2}) {
    const auto tensors = SmallStudent(layers);
    ASSERT_OK(Convert(tensors));
    ASSERT_OK_AND_ASSIGN(const StudentFolder loaded,
                         LoadStudent(options_.output));
    EXPECT_EQ(loaded.shape.vocab_size, 6);
    EXPECT_EQ(loaded.shape.embedding_dim, 2);
    EXPECT_EQ(loaded.shape.hidden_dim, 3);
    EXPECT_EQ(loaded.shape.lstm_num_layers, layers);
    EXPECT_EQ(loaded.shape.num_classes, 2);
    EXPECT_EQ(loaded.vocab, kVocab);
    EXPECT_TRUE(loaded.tokenizer.lower_case);
    EXPECT_FALSE(loaded.tokenizer.strip_accents);
    ASSERT_EQ(loaded.weights.size(), tensors.size());
    for (const auto& [name, tensor] : tensors) {
      EXPECT_EQ(loaded.weights.at(name), tensor.values) << name;
    }
  }
}

TEST_F(ConverterTest, MissingSurplusAndMisshapenTensorsAreAllNamed) {
  auto tensors = SmallStudent(1);
  tensors.erase("rnn.bias_hh_l0");
  tensors["pooler.weight"] = {{2}, {1, 2}};
  tensors["linear.bias"] = {{3}, {1, 2, 3}};
  EXPECT_THAT(
      Convert(tensors),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("m.pt"), HasSubstr("missing 'rnn.bias_hh_l0'"),
                     HasSubstr("unknown 'pooler.weight' [2]"),
                     HasSubstr("'linear.bias' is [3], expected [2]"))));
  EXPECT_THAT(Convert({}), StatusIs(absl::StatusCode::kInvalidArgument,
                                    HasSubstr("missing 'embedding.weight'")));
}

TEST_F(ConverterTest, VocabularyOfAnotherSizeIsRefused) {
  ASSERT_OK(WriteFileAtomically(options_.vocab, std::string(kVocab) + "더\n"));
  EXPECT_THAT(
      Convert(SmallStudent(1)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has 7 pieces")));
  EXPECT_FALSE(FileExists(options_.output));
}

TEST_F(ConverterTest, ValueThatIsNotFiniteIsRefused) {
  auto tensors = SmallStudent(1);
  tensors["linear.bias"].values[1] = 0.0f / 0.0f;
  EXPECT_THAT(Convert(tensors),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'linear.bias': element 1 is")));
}

TEST_F(ConverterTest, MissingOptionsAndFilesAreNamed) {
  EXPECT_THAT(ConvertCheckpoint(options_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("m.pt")));
  options_.output.clear();
  EXPECT_THAT(ConvertCheckpoint(options_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--output is missing")));
  options_.checkpoint.clear();
  EXPECT_THAT(ConvertCheckpoint(options_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--checkpoint is missing")));
}

TEST_F(ConverterTest, SeedCheckpointsHaveTheirKnownSizes) {
  REQUIRE_DATA_OR_SKIP();
  const std::string seed = JoinPath(DataDir(), "seed");
  options_.vocab = JoinPath(seed, "tokenizer/vocab_size_3000/vocab.txt");
  options_.checkpoint = JoinPath(seed, "checkpoints/base_distilled.pt");
  ASSERT_OK_AND_ASSIGN(const StudentFolder base, ConvertCheckpoint(options_));
  EXPECT_EQ(base.shape.Parameters(), 391170);
  options_.checkpoint = JoinPath(seed, "checkpoints/small_plain.pt");
  ASSERT_OK_AND_ASSIGN(const StudentFolder small, ConvertCheckpoint(options_));
  EXPECT_EQ(small.shape.Parameters(), 146434);
}

}  // namespace
}  // namespace kodistil
