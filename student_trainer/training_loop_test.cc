#include "student_trainer/training_loop.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "student_trainer/checkpoint.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

constexpr int kVocab = 40;

// Rows whose label is whether token 10 is among them, with the teacher's
// logits: 320 to train on, 40 to validate, 40 to test.
struct Data {
  std::vector<std::vector<uint16_t>> tokens;
  std::vector<int> labels;
  std::vector<Split> splits;
  std::vector<std::vector<float>> logits;

  Data() {
    Pcg32 random(5);
    for (int row = 0; row < 400; ++row) {
      std::vector<uint16_t> ids = {2};
      const int length = 1 + random.Below(8);
      for (int i = 0; i < length; ++i) ids.push_back(11 + random.Below(29));
      const int label = random.Below(2);
      if (label == 1) ids[1 + random.Below(length)] = 10;
      ids.push_back(3);
      tokens.push_back(ids);
      labels.push_back(label);
      splits.push_back(row < 320   ? Split::kTrain
                       : row < 360 ? Split::kValid
                                   : Split::kTest);
      const float margin = label == 1 ? 2.0f : -2.0f;
      logits.push_back({-margin, margin});
    }
  }

  TrainingRows Rows(bool teacher = true) const {
    TrainingRows rows;
    rows.row_count = tokens.size();
    rows.tokens = [this](uint32_t row) {
      return absl::Span<const uint16_t>(tokens[row]);
    };
    rows.label = [this](uint32_t row) { return labels[row]; };
    rows.split = [this](uint32_t row) { return splits[row]; };
    if (teacher) {
      rows.logits = [this](uint32_t row) {
        return absl::Span<const float>(logits[row]);
      };
    }
    return rows;
  }
};

TrainOptions Options() {
  TrainOptions options;
  v1::StudentConfig& config = options.config;
  config.set_vocab_size(kVocab);
  config.set_batch_size(16);
  config.set_hidden_dim(8);
  config.set_embedding_dim(6);
  config.set_loss_rate(0.1);
  config.set_temperature(2);
  config.set_train_epoch(3);
  config.set_loss_option("kl_div");
  config.set_lr(0.02);
  config.set_scheduler_type("StepLR");
  config.set_step_size(2);
  config.set_gamma(0.7);
  config.set_dropout(0.1);
  config.set_lstm_num_layers(1);
  config.set_seed(9);
  config.set_max_length(64);
  config.set_select("best");
  return options;
}

bool GoOn(const TrainProgress&) { return true; }

// What must be equal across a resume: all but times.
std::string WithoutTimes(v1::TrialResult result) {
  result.clear_train_seconds();
  result.clear_train_rows_per_second();
  for (auto& report : *result.mutable_history()) report.clear_seconds();
  return result.DebugString();
}

TEST(TrainingLoopTest, EveryLossLearnsTheRule) {
  const Data data;
  for (const char* loss : {"kl_div", "mse", "ce"}) {
    TrainOptions options = Options();
    options.config.set_loss_option(loss);
    options.config.set_train_epoch(8);
    ASSERT_OK_AND_ASSIGN(const TrainOutcome outcome,
                         TrainOnRows(options, data.Rows(), GoOn));
    const v1::TrialResult& result = outcome.result;
    EXPECT_EQ(result.total(), 40u);
    EXPECT_GE(result.correct(), 36u) << loss;
    EXPECT_EQ(result.epochs(), 8u);
    ASSERT_EQ(result.history_size(), 8);
    EXPECT_LT(result.history(7).train_loss(), result.history(0).train_loss());
    EXPECT_GT(result.train_seconds(), 0);
    EXPECT_GT(result.train_rows_per_second(), 0);
    EXPECT_EQ(result.parameters(),
              static_cast<uint64_t>(ShapeOf(options.config, 2).Parameters()));
    EXPECT_NEAR(result.history(7).learning_rate(), 0.02 * 0.343, 1e-12);
    EXPECT_EQ(result.history(0).soft_loss() > 0, loss != std::string("ce"));
    EXPECT_GT(result.history(0).hard_loss(), 0);
  }
}

TEST(TrainingLoopTest, BestEpochIsTheFirstWithTheHighestValidAccuracy) {
  const Data data;
  TrainOptions options = Options();
  options.config.set_train_epoch(6);
  ASSERT_OK_AND_ASSIGN(const TrainOutcome best,
                       TrainOnRows(options, data.Rows(), GoOn));
  uint32_t expected = 1;
  for (const auto& report : best.result.history()) {
    if (report.valid_accuracy() >
        best.result.history(expected - 1).valid_accuracy()) {
      expected = report.epoch();
    }
  }
  EXPECT_EQ(best.result.selected_epoch(), expected);
  // Stopping there gives the same weights.
  options.config.set_train_epoch(expected);
  options.config.set_select("last");
  ASSERT_OK_AND_ASSIGN(const TrainOutcome last,
                       TrainOnRows(options, data.Rows(), GoOn));
  EXPECT_EQ(last.result.selected_epoch(), expected);
  EXPECT_EQ(last.weights, best.weights);
}

TEST(TrainingLoopTest, ResumedRunEqualsAnUndisturbedOne) {
  const Data data;
  TrainOptions options = Options();
  options.checkpoint_dir = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const TrainOutcome whole,
                       TrainOnRows(options, data.Rows(), GoOn));
  // Stopped after epoch 1, then in the middle of epoch 2, then run to the end.
  options.checkpoint_dir = NewTestDir();
  EXPECT_THAT(TrainOnRows(options, data.Rows(),
                          [](const TrainProgress& progress) {
                            return progress.finished == nullptr;
                          })
                  .status(),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("epoch 1")));
  int first_epoch = 0;
  EXPECT_THAT(
      TrainOnRows(options, data.Rows(),
                  [&](const TrainProgress& progress) {
                    first_epoch = progress.epoch;
                    return false;
                  })
          .status(),
      StatusIs(absl::StatusCode::kCancelled, HasSubstr("in epoch 2, step")));
  EXPECT_EQ(first_epoch, 2);
  std::vector<int> epochs;
  ASSERT_OK_AND_ASSIGN(
      const TrainOutcome resumed,
      TrainOnRows(options, data.Rows(), [&](const TrainProgress& progress) {
        if (progress.finished != nullptr) epochs.push_back(progress.epoch);
        return true;
      }));
  EXPECT_EQ(epochs, std::vector<int>({2, 3}));
  EXPECT_EQ(resumed.weights, whole.weights);
  EXPECT_EQ(WithoutTimes(resumed.result), WithoutTimes(whole.result));
}

TEST(TrainingLoopTest, ResumeAfterEachEpochAndThreadsChangeNothing) {
  const Data data;
  for (const char* engine : {"fast", "torch"}) {
    TrainOptions options = Options();
    options.engine = engine;
    ASSERT_OK_AND_ASSIGN(const TrainOutcome whole,
                         TrainOnRows(options, data.Rows(), GoOn));
    options.checkpoint_dir = NewTestDir();
    // Stops after every epoch; threads alternate.
    absl::StatusOr<TrainOutcome> outcome = absl::UnknownError("not run");
    int runs = 0;
    do {
      options.threads = 1 + runs++ % 2;
      outcome = TrainOnRows(options, data.Rows(), [](const TrainProgress& at) {
        return at.finished == nullptr;
      });
    } while (absl::IsCancelled(outcome.status()));
    ASSERT_OK(outcome);
    EXPECT_EQ(runs, 4) << engine;
    EXPECT_EQ(outcome->weights, whole.weights) << engine;
    EXPECT_EQ(WithoutTimes(outcome->result), WithoutTimes(whole.result));
  }
}

// Cells over one batch order that differ in all that packed cells may: loss,
// teacher, temperature, learning rate, optimiser, shape, dropout, epochs.
std::vector<PackCell> MixedCells(const RowLogits* teacher,
                                 const RowLogits* other) {
  std::vector<PackCell> cells(5);
  for (PackCell& cell : cells) {
    cell.options = Options();
    cell.logits = teacher;
    cell.progress = GoOn;
  }
  cells[0].options.config.set_temperature(1);
  cells[1].options.config.set_loss_option("ce");
  cells[1].options.config.set_dropout(0.4);
  cells[1].logits = nullptr;
  cells[2].options.config.set_lr(0.005);
  cells[2].options.config.set_train_epoch(2);
  cells[2].logits = other;
  cells[3].options.config.set_loss_option("mse");
  cells[3].options.config.set_optimizer("adamw");
  cells[3].options.config.set_weight_decay(0.1);
  cells[4].options.config.set_hidden_dim(11);
  cells[4].options.config.set_scheduler_type("constant");
  cells[4].logits = other;
  return cells;
}

std::vector<absl::StatusOr<TrainOutcome>> TrainTogether(
    const std::vector<PackCell>& cells, const Data& data, int threads) {
  std::vector<absl::StatusOr<TrainOutcome>> outcomes(
      cells.size(), absl::UnknownError("never ended"));
  EXPECT_OK(TrainPack(cells, data.Rows(), threads,
                      [&](size_t i, absl::StatusOr<TrainOutcome> outcome) {
                        EXPECT_TRUE(absl::IsUnknown(outcomes[i].status()))
                            << "cell " << i << " ended twice";
                        outcomes[i] = std::move(outcome);
                      }));
  return outcomes;
}

std::vector<TrainOutcome> TrainAlone(const std::vector<PackCell>& cells,
                                     const Data& data) {
  std::vector<TrainOutcome> alone;
  for (const PackCell& cell : cells) {
    TrainingRows rows = data.Rows(/*teacher=*/false);
    if (cell.logits != nullptr) rows.logits = *cell.logits;
    auto outcome = TrainOnRows(cell.options, rows, GoOn);
    EXPECT_OK(outcome);
    alone.push_back(*std::move(outcome));
  }
  return alone;
}

void ExpectSame(const TrainOutcome& found, const TrainOutcome& expected,
                const std::string& where) {
  EXPECT_EQ(found.weights, expected.weights) << where;
  EXPECT_EQ(WithoutTimes(found.result), WithoutTimes(expected.result)) << where;
}

class TrainPackTest : public ::testing::Test {
 protected:
  Data data_;
  const RowLogits teacher_ = data_.Rows().logits;
  // Another teacher, which has the opposite opinion.
  const RowLogits other_ = [this](uint32_t row) {
    return absl::Span<const float>(data_.logits[399 - row]);
  };
};

TEST_F(TrainPackTest, PackedCellsHaveTheOutcomeThatTheyHaveAlone) {
  const std::vector<PackCell> cells = MixedCells(&teacher_, &other_);
  const std::vector<TrainOutcome> alone = TrainAlone(cells, data_);
  EXPECT_NE(alone[0].weights, alone[1].weights) << "cells do not differ";
  for (const int threads : {1, 2, 4}) {
    const auto packed = TrainTogether(cells, data_, threads);
    for (size_t i = 0; i < cells.size(); ++i) {
      ASSERT_OK(packed[i]);
      ExpectSame(*packed[i], alone[i], absl::StrCat(threads, "/", i));
    }
  }
}

TEST_F(TrainPackTest, CellsResumedAtDifferentEpochsCatchUp) {
  std::vector<PackCell> cells = MixedCells(&teacher_, &other_);
  const std::vector<TrainOutcome> alone = TrainAlone(cells, data_);
  std::vector<std::vector<int>> epochs(cells.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i].options.checkpoint_dir = NewTestDir();
    // Cell i is stopped after i epochs, cell 3 in the middle of its last one,
    // and cell 2 is trained to its end.
    const int stop = static_cast<int>(i);
    cells[i].progress = [stop](const TrainProgress& progress) {
      if (stop == 3) return progress.epoch < 3;
      return progress.finished == nullptr || progress.epoch < stop;
    };
    if (i > 0) TrainTogether({cells[i]}, data_, 1);
    cells[i].progress = [&, i](const TrainProgress& progress) {
      if (progress.finished != nullptr) epochs[i].push_back(progress.epoch);
      return true;
    };
  }
  const auto packed = TrainTogether(cells, data_, 2);
  for (size_t i = 0; i < cells.size(); ++i) {
    ASSERT_OK(packed[i]) << i;
    ExpectSame(*packed[i], alone[i], absl::StrCat("cell ", i));
  }
  EXPECT_EQ(epochs[0], std::vector<int>({1, 2, 3}));
  EXPECT_EQ(epochs[1], std::vector<int>({2, 3}));
  EXPECT_EQ(epochs[2], std::vector<int>());
  EXPECT_EQ(epochs[3], std::vector<int>({3}));
  EXPECT_EQ(epochs[4], std::vector<int>());
}

TEST_F(TrainPackTest, StoppedAfterEachEpochCellsEndAsAlone) {
  std::vector<PackCell> cells = MixedCells(&teacher_, &other_);
  const std::vector<TrainOutcome> alone = TrainAlone(cells, data_);
  for (PackCell& cell : cells) {
    cell.options.checkpoint_dir = NewTestDir();
    cell.progress = [](const TrainProgress& progress) {
      return progress.finished == nullptr;
    };
  }
  std::vector<absl::StatusOr<TrainOutcome>> packed;
  for (int run = 0; run < 4; ++run) {
    packed = TrainTogether(cells, data_, 1 + run % 2);
    EXPECT_EQ(packed[0].ok(), run == 3);
    EXPECT_EQ(packed[2].ok(), run >= 2) << "it has two epochs";
  }
  for (size_t i = 0; i < cells.size(); ++i) {
    ASSERT_OK(packed[i]);
    ExpectSame(*packed[i], alone[i], absl::StrCat("cell ", i));
  }
}

TEST_F(TrainPackTest, CellsThatFailOrAreCancelledDoNotChangeTheOthers) {
  std::vector<PackCell> cells = MixedCells(&teacher_, &other_);
  const std::vector<TrainOutcome> alone = TrainAlone(cells, data_);
  const std::vector<float> broken(2, std::nanf(""));
  const RowLogits not_a_number = [&](uint32_t row) {
    return row == 100 ? absl::Span<const float>(broken) : teacher_(row);
  };
  cells[0].logits = &not_a_number;
  cells[1].progress = [](const TrainProgress& progress) {
    return progress.epoch < 2;
  };
  cells[4].options.config.set_select("middle");
  for (const int threads : {1, 2}) {
    const auto packed = TrainTogether(cells, data_, threads);
    EXPECT_THAT(packed[0].status(),
                StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("epoch 1")));
    EXPECT_THAT(packed[1].status(),
                StatusIs(absl::StatusCode::kCancelled, HasSubstr("epoch 2")));
    EXPECT_THAT(packed[4].status(), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("middle")));
    for (const size_t i : {2, 3}) {
      ASSERT_OK(packed[i]);
      ExpectSame(*packed[i], alone[i], absl::StrCat(threads, "/", i));
    }
  }
}

TEST_F(TrainPackTest, CellsOfTheReferenceEngineMayBeAmongThem) {
  std::vector<PackCell> cells = MixedCells(&teacher_, &other_);
  cells.resize(3);
  cells[0].options.engine = "torch";
  cells[2].options.engine = "torch";
  const std::vector<TrainOutcome> alone = TrainAlone(cells, data_);
  const auto packed = TrainTogether(cells, data_, 2);
  for (size_t i = 0; i < cells.size(); ++i) {
    ASSERT_OK(packed[i]);
    ExpectSame(*packed[i], alone[i], absl::StrCat("cell ", i));
  }
}

TEST_F(TrainPackTest, CellsOfOtherBatchesAreInvalid) {
  for (const bool seed : {true, false}) {
    std::vector<PackCell> cells = MixedCells(&teacher_, &other_);
    v1::StudentConfig& config = cells[1].options.config;
    seed ? config.set_seed(10) : config.set_batch_size(17);
    int ended = 0;
    EXPECT_THAT(
        TrainPack(cells, data_.Rows(), 1,
                  [&](size_t, absl::StatusOr<TrainOutcome>) { ++ended; }),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr("expected 16 and 9")));
    EXPECT_EQ(ended, 0);
  }
  EXPECT_THAT(
      TrainPack({}, data_.Rows(), 0, nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("threads is 0")));
}

TEST(TrainingLoopTest, EnginesAgreeButForRounding) {
  const Data data;
  TrainOptions options = Options();
  options.config.set_dropout(0);
  options.config.set_train_epoch(1);
  StudentWeights of_adam;
  for (const char* optimizer : {"adam", "adamw"}) {
    options.engine = "fast";
    options.config.set_optimizer(optimizer);
    if (optimizer == std::string("adamw")) options.config.set_weight_decay(1);
    ASSERT_OK_AND_ASSIGN(const TrainOutcome fast,
                         TrainOnRows(options, data.Rows(), GoOn));
    options.engine = "torch";
    ASSERT_OK_AND_ASSIGN(const TrainOutcome torch,
                         TrainOnRows(options, data.Rows(), GoOn));
    EXPECT_NEAR(fast.result.history(0).train_loss(),
                torch.result.history(0).train_loss(), 1e-3);
    EXPECT_NE(fast.weights, torch.weights);
    EXPECT_NE(fast.weights, of_adam);
    of_adam = fast.weights;
    // Twenty steps lie between them: a decay that is not the same would show
    // in the weights' size.
    for (const auto& [name, values] : fast.weights) {
      double found = 0, expected = 0;
      for (const float value : values) found += std::abs(value);
      for (const float value : torch.weights.at(name)) {
        expected += std::abs(value);
      }
      EXPECT_NEAR(found / expected, 1, 0.02) << optimizer << " " << name;
    }
  }
}

TEST(TrainingLoopTest, CheckpointOfAnotherRunOrDamagedIsIgnored) {
  Data data;
  TrainOptions options = Options();
  options.config.set_train_epoch(2);
  ASSERT_OK_AND_ASSIGN(const TrainOutcome expected,
                       TrainOnRows(options, data.Rows(), GoOn));
  options.checkpoint_dir = NewTestDir();
  const auto epochs_run = [&](const TrainOptions& used) {
    int epochs = 0;
    const auto outcome =
        TrainOnRows(used, data.Rows(), [&](const TrainProgress& progress) {
          epochs += progress.finished != nullptr;
          return true;
        });
    EXPECT_OK(outcome);
    return epochs;
  };
  TrainOptions other = options;
  other.config.set_temperature(1);
  EXPECT_EQ(epochs_run(other), 2);
  EXPECT_EQ(epochs_run(other), 0);  // complete: only tested
  EXPECT_EQ(epochs_run(options), 2);
  const std::string path = CheckpointPath(options.checkpoint_dir);
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(path));
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_OK(WriteFileAtomically(path, bytes));
  ASSERT_OK_AND_ASSIGN(const TrainOutcome anew,
                       TrainOnRows(options, data.Rows(), GoOn));
  EXPECT_EQ(anew.weights, expected.weights);
  // Other logits are another teacher.
  data.logits[0][0] += 1;
  EXPECT_EQ(epochs_run(options), 2);
}

TEST(TrainingLoopTest, CheckpointOfANewerProgramEndsTheTrainingAndStays) {
  Data data;
  TrainOptions options = Options();
  options.checkpoint_dir = NewTestDir();
  ASSERT_OK(TrainOnRows(options, data.Rows(), GoOn));
  const std::string path = CheckpointPath(options.checkpoint_dir);
  ASSERT_OK_AND_ASSIGN(std::string newer, ReadFile(path));
  newer[12] = 2;
  const uint32_t checksum = Crc32c(newer.substr(12));
  std::memcpy(&newer[8], &checksum, sizeof(checksum));
  ASSERT_OK(WriteFileAtomically(path, newer));
  EXPECT_THAT(TrainOnRows(options, data.Rows(), GoOn).status(),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("checkpoint format version 2")));
  EXPECT_TRUE(*ReadFile(path) == newer);
}

TEST(TrainingLoopTest, RowsWithoutLabelTrainTheSoftTermAlone) {
  Data data;
  for (int row = 0; row < 320; ++row) data.labels[row] = kNoLabel;
  TrainOptions options = Options();
  options.config.set_train_epoch(8);
  ASSERT_OK_AND_ASSIGN(const TrainOutcome outcome,
                       TrainOnRows(options, data.Rows(), GoOn));
  EXPECT_EQ(outcome.result.history(0).hard_loss(), 0);
  EXPECT_GE(outcome.result.correct(), 36u);
  options.config.set_loss_option("ce");
  EXPECT_THAT(TrainOnRows(options, data.Rows(), GoOn).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("row 0 of the train split has no label")));
}

TEST(TrainingLoopTest, LossThatIsNotFiniteNamesEpochAndStep) {
  Data data;
  data.logits[0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(TrainOnRows(Options(), data.Rows(), GoOn).status(),
              StatusIs(absl::StatusCode::kOutOfRange,
                       HasSubstr("not finite at epoch 1, step ")));
}

TEST(TrainingLoopTest, BadInputIsInvalidAndNamed) {
  const auto status = [](const TrainOptions& options, const Data& data,
                         bool teacher = true) {
    return TrainOnRows(options, data.Rows(teacher), GoOn).status();
  };
  const auto invalid = [](const char* message) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message));
  };
  TrainOptions options = Options();
  options.config.set_select("middle");
  EXPECT_THAT(status(options, Data()), invalid("expected best or last"));
  options = Options();
  options.engine = "numpy";
  EXPECT_THAT(status(options, Data()), invalid("expected fast or torch"));
  options = Options();
  options.config.set_dropout(1);
  EXPECT_THAT(status(options, Data()), invalid("dropout is 1"));
  options = Options();
  options.config.set_weight_decay(0.1);
  EXPECT_THAT(status(options, Data()),
              invalid("expected 0, as the optimizer is adam"));
  options.config.set_optimizer("sgd");
  EXPECT_THAT(status(options, Data()), invalid("expected adam or adamw"));
  options = Options();
  options.config.set_batch_size(0);
  EXPECT_THAT(status(options, Data()), invalid("batch_size is 0"));
  EXPECT_THAT(status(Options(), Data(), /*teacher=*/false),
              invalid("no teacher logits"));
  Data data;
  data.tokens[7][1] = kVocab;
  EXPECT_THAT(status(Options(), data), invalid("row 7 has token 40"));
  data = Data();
  data.labels[8] = 2;
  EXPECT_THAT(status(Options(), data), invalid("row 8 has label 2"));
  data = Data();
  for (Split& split : data.splits) split = Split::kTest;
  EXPECT_THAT(status(Options(), data), invalid("no rows in its train split"));
}

TEST(TrainingLoopTest, EvaluationCountsRowsAsTheFinalTestDoes) {
  const Data data;
  ASSERT_OK_AND_ASSIGN(const TrainOutcome outcome,
                       TrainOnRows(Options(), data.Rows(), GoOn));
  std::vector<uint32_t> test;
  for (uint32_t row = 360; row < 400; ++row) test.push_back(row);
  const StudentShape shape = ShapeOf(Options().config, 2);
  ASSERT_OK_AND_ASSIGN(
      const Evaluation evaluation,
      EvaluateOnRows(shape, outcome.weights, data.Rows(), test, 1));
  EXPECT_EQ(evaluation.correct, outcome.result.correct());
  EXPECT_EQ(evaluation.total, 40u);
  EXPECT_EQ(evaluation.loss, outcome.result.test_loss());
  EXPECT_GT(evaluation.rows_per_second, 0);
}

TEST(TrainingLoopTest, PredictionsAreOfTheLabelledTestRowsByIndex) {
  Data data;
  data.labels[362] = kNoLabel;
  data.labels[365] = 1 - data.labels[365];  // one that it will have wrong
  ASSERT_OK_AND_ASSIGN(const TrainOutcome outcome,
                       TrainOnRows(Options(), data.Rows(), GoOn));
  const StudentShape shape = ShapeOf(Options().config, 2);
  Predictions expected;
  for (uint32_t row = 360; row < 400; ++row) {
    if (row == 362) continue;
    ASSERT_OK_AND_ASSIGN(
        const Evaluation alone,
        EvaluateOnRows(shape, outcome.weights, data.Rows(), {row}, 1));
    expected.push_back(alone.correct == 1);
  }
  EXPECT_EQ(outcome.predictions, expected);
  EXPECT_EQ(std::count(expected.begin(), expected.end(), true),
            static_cast<int64_t>(outcome.result.correct()));
  EXPECT_THAT(expected, ::testing::Contains(true));
  EXPECT_THAT(expected, ::testing::Contains(false));
}

TEST(TrainingLoopTest, EvaluationOfARowWithoutLabelIsInvalid) {
  Data data;
  data.labels[3] = kNoLabel;
  const TrainOutcome outcome = *TrainOnRows(Options(), data.Rows(), GoOn);
  EXPECT_THAT(EvaluateOnRows(ShapeOf(Options().config, 2), outcome.weights,
                             data.Rows(), {1, 3}, 1)
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("row 3 has no label")));
}

}  // namespace
}  // namespace kodistil
