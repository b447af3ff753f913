#include "student_trainer/trainer.h"

#include <string>

#include "base/testing.h"
#include "corpus/dataset.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

constexpr char kVocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n좋\n##아요\n별\n##로\n영화\n";

// 90 rows of two texts that differ by a word.
Dataset Reviews() {
  Dataset dataset;
  dataset.name = "reviews";
  for (int i = 0; i < 90; ++i) {
    Row row;
    row.label = i % 2;
    row.text = row.label == 1 ? "영화 좋아요" : "영화 영화 별로";
    row.split = i < 60 ? Split::kTrain : i < 70 ? Split::kValid : Split::kTest;
    dataset.rows.push_back(row);
  }
  return dataset;
}

TrainOptions Options() {
  TrainOptions options;
  v1::StudentConfig& config = options.config;
  config.set_vocab_size(16);
  config.set_batch_size(8);
  config.set_hidden_dim(4);
  config.set_embedding_dim(4);
  config.set_train_epoch(4);
  config.set_temperature(1);
  config.set_loss_option("ce");
  config.set_lr(0.05);
  config.set_scheduler_type("constant");
  config.set_lstm_num_layers(1);
  config.set_max_length(32);
  config.set_select("best");
  return options;
}

TEST(TrainerTest, LearnsFromATokenizedDataset) {
  ASSERT_OK_AND_ASSIGN(
      const TokenizedDataset data,
      TokenizedDataset::OpenOrCreate(NewTestDir(), Reviews(), kVocab, {}, 32));
  ASSERT_OK_AND_ASSIGN(const TrainOutcome outcome,
                       TrainStudent(Options(), data, nullptr, nullptr));
  EXPECT_EQ(outcome.result.total(), 20u);
  EXPECT_EQ(outcome.result.correct(), 20u);
  ASSERT_OK_AND_ASSIGN(
      const Evaluation evaluation,
      EvaluateStudent(ShapeOf(Options().config, 2), outcome.weights, data,
                      Reviews().IndicesOf(Split::kTrain), /*threads=*/1));
  EXPECT_EQ(evaluation.correct, 60u);
}

TEST(TrainerTest, DistillingWithoutLogitsIsInvalid) {
  ASSERT_OK_AND_ASSIGN(
      const TokenizedDataset data,
      TokenizedDataset::OpenOrCreate(NewTestDir(), Reviews(), kVocab, {}, 32));
  TrainOptions options = Options();
  options.config.set_loss_option("mse");
  EXPECT_THAT(TrainStudent(options, data, nullptr, nullptr).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no teacher logits")));
}

}  // namespace
}  // namespace kodistil
