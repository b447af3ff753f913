#include "teacher_service/ngram_model.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// Two features, 지루 and 재미, of weights -(fold + 1) and fold + 1; five folds.
NgramParameters MakeParameters() {
  NgramParameters parameters;
  parameters.shape.min_n = 2;
  parameters.shape.max_n = 2;
  parameters.shape.mark_edges = false;
  std::vector<std::pair<uint64_t, float>> features;
  for (const auto& [text, sign] :
       {std::pair<const char*, float>{"지루", -1}, {"재미", 1}}) {
    std::vector<NgramCount> counts;
    CountNgrams(parameters.shape, text, "", &counts);
    features.emplace_back(counts.at(0).hash, sign);
  }
  std::sort(features.begin(), features.end());
  for (const auto& [hash, sign] : features) {
    parameters.hashes.push_back(hash);
    parameters.idf.push_back(2);
  }
  for (int fold = 0; fold < parameters.folds; ++fold) {
    for (const auto& [hash, sign] : features) {
      parameters.weights.push_back(sign * (fold + 1));
    }
    parameters.bias.push_back(0.5f);
  }
  parameters.train_texts = {NgramTextHash("재미", "")};
  parameters.dataset_fingerprint = std::string(64, 'd');
  parameters.train_rows = 1;
  return parameters;
}

float ScoreOf(const NgramParameters& parameters, const std::string& text) {
  std::vector<float> logits;
  NgramScorer(parameters).Score(text, "", &logits);
  EXPECT_EQ(logits.size(), 2u);
  EXPECT_EQ(logits.at(0), -logits.at(1));
  return 2 * logits.at(1);
}

TEST(NgramScorerTest, ScoresAsTheFormulaSays) {
  const NgramParameters parameters = MakeParameters();
  // Not seen in training: the mean of the weights 1 to 5 is 3.
  EXPECT_FLOAT_EQ(ScoreOf(parameters, "재미!"), 3.5f);
  EXPECT_FLOAT_EQ(ScoreOf(parameters, "지루?"), -2.5f);
  // Both, one of them twice: [1 + ln 2, 1] normalised.
  const double twice = 1 + std::log(2.0);
  EXPECT_NEAR(ScoreOf(parameters, "재미재미지루"),
              3 * (twice - 1) / std::hypot(twice, 1) + 0.5, 1e-5);
  EXPECT_FLOAT_EQ(ScoreOf(parameters, "모름"), 0.5f);
}

TEST(NgramScorerTest, ATrainingTextIsScoredByItsFoldAlone) {
  const NgramParameters parameters = MakeParameters();
  const int fold = static_cast<int>(NgramTextHash("재미", "") % 5);
  EXPECT_FLOAT_EQ(ScoreOf(parameters, "재미"), fold + 1.5f);
}

TEST(NgramTextHashTest, PairsAreNotTheirConcatenation) {
  EXPECT_NE(NgramTextHash("ab", ""), NgramTextHash("a", "b"));
  EXPECT_NE(NgramTextHash("a", "bc"), NgramTextHash("ab", "c"));
}

class NgramModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    parameters_ = MakeParameters();
    options_.model_dir = JoinPath(NewTestDir(), "model");
  }

  NgramParameters parameters_;
  TeacherModelOptions options_;
};

TEST_F(NgramModelTest, LoadedModelScoresAsTheTrainedOne) {
  ASSERT_OK(SaveNgramModel(parameters_, options_.model_dir));
  ASSERT_OK_AND_ASSIGN(const auto model, LoadNgramModel(options_));
  EXPECT_EQ(model->info().model_type, "ngram");
  EXPECT_EQ(model->info().name, "model");
  const NgramScorer scorer(parameters_);
  // Enough rows for several threads.
  std::vector<EncodedInput> inputs;
  std::vector<const EncodedInput*> batch;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK_AND_ASSIGN(EncodedInput input,
                         model->Encode({absl::StrCat("지루하다 ", i), ""}));
    EXPECT_EQ(input.tokens, 1);
    inputs.push_back(std::move(input));
  }
  for (const EncodedInput& input : inputs) batch.push_back(&input);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> logits, model->Infer(batch));
  std::vector<float> expected;
  for (const EncodedInput& input : inputs) {
    scorer.Score(input.input.text, "", &expected);
  }
  EXPECT_EQ(logits, expected);
  EXPECT_THAT(model->Encode({"", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
}

TEST_F(NgramModelTest, FingerprintIsThatOfTheContent) {
  ASSERT_OK(SaveNgramModel(parameters_, options_.model_dir));
  ASSERT_OK_AND_ASSIGN(const auto first, LoadNgramModel(options_));
  // Saved again, over the first.
  ASSERT_OK(SaveNgramModel(parameters_, options_.model_dir + "/"));
  ASSERT_OK_AND_ASSIGN(const auto second, LoadNgramModel(options_));
  EXPECT_EQ(first->info().fingerprint, second->info().fingerprint);
  EXPECT_EQ(first->info().fingerprint.size(), 64u);
  parameters_.bias[0] += 1;
  ASSERT_OK(SaveNgramModel(parameters_, options_.model_dir));
  ASSERT_OK_AND_ASSIGN(const auto other, LoadNgramModel(options_));
  EXPECT_NE(first->info().fingerprint, other->info().fingerprint);
}

TEST_F(NgramModelTest, AFolderOfSomethingElseIsNotReplaced) {
  const std::string precious = JoinPath(options_.model_dir, "precious");
  ASSERT_OK(WriteFileAtomically(precious, "x"));
  EXPECT_THAT(SaveNgramModel(parameters_, options_.model_dir),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is no n-gram model")));
  EXPECT_TRUE(FileExists(precious));
}

TEST_F(NgramModelTest, NewerVersionIsRefusedByName) {
  ASSERT_OK(SaveNgramModel(parameters_, options_.model_dir));
  const std::string config = JoinPath(options_.model_dir, "config.json");
  ASSERT_OK_AND_ASSIGN(std::string text, ReadFile(config));
  const std::string version = "\"version\": 1";
  const size_t at = text.find(version);
  ASSERT_NE(at, std::string::npos);
  text[at + version.size() - 1] = '2';
  ASSERT_OK(WriteFileAtomically(config, text));
  EXPECT_THAT(LoadNgramModel(options_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("config.json: found n-gram teacher format "
                                 "version 2, this program reads version 1")));
}

TEST_F(NgramModelTest, DamagedFoldersAreRefused) {
  EXPECT_THAT(LoadNgramModel(options_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
  ASSERT_OK(SaveNgramModel(parameters_, options_.model_dir));
  const std::string config = JoinPath(options_.model_dir, "config.json");
  ASSERT_OK_AND_ASSIGN(std::string text, ReadFile(config));
  const size_t at = text.find("\"folds\": 5");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 10, "\"folds\": 4");
  ASSERT_OK(WriteFileAtomically(config, text));
  EXPECT_THAT(LoadNgramModel(options_), StatusIs(absl::StatusCode::kDataLoss,
                                                 HasSubstr("tensor weights")));
  text.replace(at, 10, "\"folds\":\"\"");
  ASSERT_OK(WriteFileAtomically(config, text));
  EXPECT_THAT(LoadNgramModel(options_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("folds: found \"\"")));
}

}  // namespace
}  // namespace kodistil
