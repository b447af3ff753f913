#include "teacher_service/ngram_trainer.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/testing.h"
#include "teacher_service/ngram_model.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// Rows of `classes` classes, each class with words of its own.
Dataset MakeDataset(int rows, int classes) {
  const char* words[] = {"정말 재미있다", "너무 지루하다", "그저 그렇다"};
  Dataset dataset;
  dataset.name = "made";
  dataset.num_classes = classes;
  for (int i = 0; i < rows; ++i) {
    Row row;
    row.label = i % classes;
    row.text = absl::StrCat(words[row.label], " 영화 ", i / 7);
    row.split = i % 10 == 9 ? Split::kTest : Split::kTrain;
    dataset.rows.push_back(row);
  }
  return dataset;
}

NgramTrainOptions FastOptions() {
  NgramTrainOptions options;
  options.threads = 1;
  return options;
}

std::vector<float> Score(const NgramScorer& scorer, const std::string& text) {
  std::vector<float> logits;
  scorer.Score(text, "", &logits);
  return logits;
}

// The parameters with every fold's weights replaced by those of `fold`.
NgramParameters OnlyFold(NgramParameters parameters, int fold) {
  const size_t outputs = parameters.outputs();
  const size_t stride = outputs * parameters.hashes.size();
  for (int to = 0; to < parameters.folds; ++to) {
    std::copy_n(parameters.weights.begin() + fold * stride, stride,
                parameters.weights.begin() + to * stride);
    std::copy_n(parameters.bias.begin() + fold * outputs, outputs,
                parameters.bias.begin() + to * outputs);
  }
  return parameters;
}

TEST(NgramTrainerTest, LearnsTwoClasses) {
  const Dataset dataset = MakeDataset(400, 2);
  ASSERT_OK_AND_ASSIGN(const NgramParameters parameters,
                       TrainNgramModel(dataset, FastOptions()));
  const NgramScorer scorer(parameters);
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const NgramAccuracy accuracy = MeasureNgramAccuracy(scorer, dataset, split);
    EXPECT_GT(accuracy.total, 0);
    EXPECT_EQ(accuracy.correct, accuracy.total);
  }
  // Two classes: logits are [-z/2, z/2].
  const std::vector<float> logits = Score(scorer, "너무 지루하다");
  ASSERT_EQ(logits.size(), 2u);
  EXPECT_EQ(logits[0], -logits[1]);
  EXPECT_GT(logits[1], 0);
}

TEST(NgramTrainerTest, LearnsThreeClasses) {
  const Dataset dataset = MakeDataset(600, 3);
  ASSERT_OK_AND_ASSIGN(const NgramParameters parameters,
                       TrainNgramModel(dataset, FastOptions()));
  const NgramAccuracy accuracy =
      MeasureNgramAccuracy(NgramScorer(parameters), dataset, Split::kTest);
  EXPECT_EQ(accuracy.total, 60);
  EXPECT_EQ(accuracy.correct, 60);
}

TEST(NgramTrainerTest, SameParametersWhateverTheThreads) {
  const Dataset dataset = MakeDataset(400, 3);
  NgramTrainOptions options = FastOptions();
  ASSERT_OK_AND_ASSIGN(const NgramParameters one,
                       TrainNgramModel(dataset, options));
  options.threads = 3;
  ASSERT_OK_AND_ASSIGN(const NgramParameters three,
                       TrainNgramModel(dataset, options));
  EXPECT_EQ(one.hashes, three.hashes);
  EXPECT_EQ(one.weights, three.weights);
  EXPECT_EQ(one.bias, three.bias);
}

// A text of the training set is scored by the fold that did not see it: that
// fold's weights are those of a training set from which the text is absent.
TEST(NgramTrainerTest, TrainingTextsAreScoredByTheFoldThatDidNotSeeThem) {
  Dataset dataset = MakeDataset(300, 2);
  // Opposite labels for one text and its copies: only a model that saw them
  // could follow.
  const std::string odd = "정말 재미있다 영화 999";
  for (int i = 0; i < 30; ++i) {
    dataset.rows.push_back({odd, "", 1, Split::kTrain});
  }
  ASSERT_OK_AND_ASSIGN(const NgramParameters parameters,
                       TrainNgramModel(dataset, FastOptions()));
  const int fold = static_cast<int>(NgramTextHash(odd, "") % 5);
  const NgramScorer scorer(parameters);
  EXPECT_EQ(Score(scorer, odd),
            Score(NgramScorer(OnlyFold(parameters, fold)), odd));
  EXPECT_LT(Score(scorer, odd)[1], 0) << "the fold saw the odd label";
  EXPECT_GT(Score(NgramScorer(OnlyFold(parameters, (fold + 1) % 5)), odd)[1], 0)
      << "the other folds learned the odd label";
}

TEST(NgramTrainerTest, OtherTextsGetTheMeanOfTheFolds) {
  ASSERT_OK_AND_ASSIGN(const NgramParameters parameters,
                       TrainNgramModel(MakeDataset(300, 2), FastOptions()));
  const std::string text = "너무 재미있다";
  double mean = 0;
  std::set<float> distinct;
  for (int fold = 0; fold < 5; ++fold) {
    const float one = Score(NgramScorer(OnlyFold(parameters, fold)), text)[1];
    mean += one / 5;
    distinct.insert(one);
  }
  EXPECT_GT(distinct.size(), 1u);
  EXPECT_NEAR(Score(NgramScorer(parameters), text)[1], mean, 1e-5);
}

TEST(NgramTrainerTest, OneClassAloneIsInvalid) {
  Dataset dataset = MakeDataset(100, 2);
  for (Row& row : dataset.rows) row.label = 1;
  EXPECT_THAT(TrainNgramModel(dataset, FastOptions()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("label 1, expected two classes")));
}

TEST(NgramTrainerTest, NoTrainingRowsIsInvalid) {
  Dataset dataset = MakeDataset(100, 2);
  for (Row& row : dataset.rows) row.split = Split::kTest;
  EXPECT_THAT(TrainNgramModel(dataset, FastOptions()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("0 labelled training rows")));
}

TEST(NgramTrainerTest, BadOptionsAreInvalid) {
  const auto code = [](NgramTrainOptions options) {
    return options.Validate().code();
  };
  NgramTrainOptions options;
  EXPECT_OK(options.Validate());
  options.cost = 0;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.shape.max_n = 0;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.folds = 1;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kodistil
