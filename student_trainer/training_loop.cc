#include "student_trainer/training_loop.h"

#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "student_trainer/checkpoint.h"
#include "student_trainer/engine_factory.h"
#include "student_trainer/loss.h"
#include "student_trainer/lr_schedule.h"
#include "student_trainer/student_engine.h"

namespace kodistil {
namespace {

// Part of a run's identity: raise it when the same input would give other
// weights.
constexpr uint64_t kTrainingVersion = 2;
constexpr int kEvaluationBatch = 256;
constexpr int64_t kStepsPerProgress = 10;

// Streams of MixSeed(seed, epoch, stream); TrainingBatches uses stream 0.
constexpr uint64_t kWeightStream = 1;
constexpr uint64_t kDropoutStream = 2;

double Now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

EngineOptions EngineOptionsOf(const TrainOptions& options) {
  EngineOptions engine;
  engine.engine = options.engine;
  engine.device = options.device;
  engine.threads = options.threads;
  return engine;
}

absl::Status Bad(absl::string_view field, double value,
                 absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; expected ", expected));
}

// Tokens and label of a row fit the student.
absl::Status CheckRow(const TrainingRows& rows, uint32_t row,
                      const StudentShape& shape) {
  const absl::Span<const uint16_t> tokens = rows.tokens(row);
  if (tokens.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has no tokens; expected [CLS] and [SEP]"));
  }
  for (uint16_t token : tokens) {
    if (token < shape.vocab_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has token ", token,
                     "; expected below vocab_size, ", shape.vocab_size));
  }
  if (rows.label(row) >= shape.num_classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has label ", rows.label(row),
                     "; expected below num_classes, ", shape.num_classes));
  }
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> Evaluate(const StudentEngine& engine,
                                    const TrainingRows& rows, int classes,
                                    const std::vector<uint32_t>& indices) {
  const double start = Now();
  Evaluation evaluation;
  PackedBatch batch;
  const auto batches = EvaluationBatches(
      indices, kEvaluationBatch,
      [&](uint32_t row) { return static_cast<int>(rows.tokens(row).size()); });
  for (const std::vector<uint32_t>& members : batches) {
    PackBatch(members, rows.tokens, &batch);
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> logits,
                              engine.Logits(batch));
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const auto row = absl::MakeSpan(logits).subspan(i * classes, classes);
      const int label = rows.label(batch.rows[i]);
      evaluation.correct += ArgMax(row) == label;
      evaluation.loss += CrossEntropy(row, label);
    }
    evaluation.total += batch.rows.size();
  }
  if (evaluation.total > 0) {
    evaluation.loss /= evaluation.total;
    evaluation.rows_per_second = evaluation.total / (Now() - start);
  }
  return evaluation;
}

// One training, from checks to test. Used once.
class TrainingRun {
 public:
  TrainingRun(const TrainOptions& options, const TrainingRows& rows,
              const ProgressCallback& progress)
      : options_(options),
        config_(options.config),
        rows_(rows),
        progress_(progress),
        shape_(ShapeOf(options.config, options.num_classes)) {}

  absl::StatusOr<TrainOutcome> Run();

 private:
  absl::Status Prepare();
  absl::Status CollectRows();
  std::string RunIdentity() const;
  absl::Status ResumeOrInitialize();
  absl::Status RunEpoch(int epoch);
  absl::Status RunSteps(int epoch, v1::EpochReport* report);
  absl::StatusOr<LossSums> RunStep(int epoch, int64_t step,
                                   const std::vector<uint32_t>& members,
                                   double* rate);
  absl::Status KeepEpoch(const v1::EpochReport& report);
  absl::StatusOr<TrainOutcome> Finish();

  bool GoOn(const TrainProgress& progress) const {
    return !progress_ || progress_(progress);
  }

  const TrainOptions& options_;
  const v1::StudentConfig& config_;
  const TrainingRows& rows_;
  const ProgressCallback& progress_;
  const StudentShape shape_;
  LossOptions loss_;
  std::unique_ptr<LrSchedule> schedule_;
  std::unique_ptr<StudentEngine> engine_;
  std::vector<uint32_t> train_, valid_, test_;
  PackedBatch batch_;
  std::vector<int> labels_;     // [B]
  std::vector<float> teacher_;  // [B, classes]
  // What the last epoch left; its result, run and best are always set.
  Checkpoint state_;
};

absl::Status TrainingRun::CollectRows() {
  const bool distils = loss_.kind != LossKind::kCe;
  for (uint32_t row = 0; row < rows_.row_count; ++row) {
    const Split split = rows_.split(row);
    if (split == Split::kNone) continue;
    KODISTIL_RETURN_IF_ERROR(CheckRow(rows_, row, shape_));
    const bool labelled = rows_.label(row) != kNoLabel;
    if (split == Split::kTrain && !labelled && !distils) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row,
                       " of the train split has no label; expected "
                       "one, as loss_option is ce"));
    }
    if (split == Split::kTrain) train_.push_back(row);
    if (split == Split::kValid && labelled) valid_.push_back(row);
    if (split == Split::kTest && labelled) test_.push_back(row);
  }
  if (train_.empty()) {
    return absl::InvalidArgumentError(
        "the dataset has no rows in its train split; expected one or more");
  }
  return absl::OkStatus();
}

absl::Status TrainingRun::Prepare() {
  KODISTIL_RETURN_IF_ERROR(options_.Validate());
  KODISTIL_ASSIGN_OR_RETURN(loss_.kind, ParseLossKind(config_.loss_option()));
  loss_.loss_rate = config_.loss_rate();
  loss_.temperature = config_.temperature();
  if (loss_.kind != LossKind::kCe && !rows_.logits) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss_option is ", config_.loss_option(),
                     ", but there are no teacher logits"));
  }
  KODISTIL_ASSIGN_OR_RETURN(schedule_, LrSchedule::Create(config_));
  KODISTIL_RETURN_IF_ERROR(CollectRows());
  KODISTIL_ASSIGN_OR_RETURN(
      engine_, CreateStudentEngine(shape_, EngineOptionsOf(options_)));
  return ResumeOrInitialize();
}

std::string TrainingRun::RunIdentity() const {
  Sha256 hash;
  hash.UpdateUint64(kTrainingVersion);
  hash.UpdateField(config_.SerializeAsString());
  hash.UpdateUint64(options_.num_classes);
  hash.UpdateField(EngineOptionsOf(options_).Resolved());
  hash.UpdateField(options_.device);
  for (uint32_t row = 0; row < rows_.row_count; ++row) {
    const absl::Span<const uint16_t> tokens = rows_.tokens(row);
    hash.UpdateUint64(static_cast<uint64_t>(rows_.split(row)));
    hash.UpdateUint64(static_cast<uint64_t>(rows_.label(row)));
    hash.UpdateField({reinterpret_cast<const char*>(tokens.data()),
                      tokens.size() * sizeof(uint16_t)});
    if (loss_.kind == LossKind::kCe) continue;
    const absl::Span<const float> logits = rows_.logits(row);
    hash.UpdateField({reinterpret_cast<const char*>(logits.data()),
                      logits.size() * sizeof(float)});
  }
  return hash.Finish();
}

absl::Status TrainingRun::ResumeOrInitialize() {
  if (!options_.checkpoint_dir.empty()) {
    state_.run = RunIdentity();
    absl::StatusOr<Checkpoint> found =
        ReadCheckpoint(options_.checkpoint_dir, state_.run);
    if (found.ok()) {
      const absl::Status set =
          engine_->SetState({found->parameters, found->adam_mean,
                             found->adam_square, found->adam_steps});
      if (set.ok()) {
        state_ = *std::move(found);
        LOG(INFO) << "resumed after epoch " << state_.result.epochs();
        return absl::OkStatus();
      }
      found = set;
    }
    if (found.status().code() != absl::StatusCode::kNotFound) {
      LOG(WARNING) << "checkpoint ignored, training starts anew: "
                   << found.status().message();
    }
  }
  return engine_->Initialize(MixSeed(config_.seed(), 0, kWeightStream));
}

absl::StatusOr<LossSums> TrainingRun::RunStep(
    int epoch, int64_t step, const std::vector<uint32_t>& members,
    double* rate) {
  PackBatch(members, rows_.tokens, &batch_);
  labels_.clear();
  teacher_.clear();
  for (uint32_t row : batch_.rows) {
    labels_.push_back(rows_.label(row));
    if (loss_.kind == LossKind::kCe) continue;
    const absl::Span<const float> logits = rows_.logits(row);
    teacher_.insert(teacher_.end(), logits.begin(), logits.end());
  }
  const int64_t batch_size = config_.batch_size();
  const int64_t steps = (train_.size() + batch_size - 1) / batch_size;
  *rate = schedule_->Rate(epoch - 1, (epoch - 1) * steps + step);
  KODISTIL_ASSIGN_OR_RETURN(
      const LossSums sums,
      engine_->TrainStep(
          batch_, config_.dropout(), *rate,
          [&](absl::Span<const float> logits, absl::Span<float> gradient) {
            return DistillationLoss(loss_, shape_.num_classes, logits, labels_,
                                    teacher_, gradient);
          }));
  if (std::isfinite(sums.total)) return sums;
  return absl::OutOfRangeError(absl::StrCat(
      "the loss is not finite at epoch ", epoch, ", step ", step + 1, " (",
      sums.total, "); a smaller lr may help, now ", *rate));
}

absl::Status TrainingRun::RunSteps(int epoch, v1::EpochReport* report) {
  double start = Now();
  engine_->SeedDropout(MixSeed(config_.seed(), epoch, kDropoutStream));
  const auto batches = TrainingBatches(
      train_, config_.batch_size(), config_.seed(), epoch,
      [&](uint32_t row) { return static_cast<int>(rows_.tokens(row).size()); });
  double total = 0, hard = 0, soft = 0, rate = 0, seconds = 0;
  int64_t done = 0, labelled = 0;
  for (size_t step = 0; step < batches.size(); ++step) {
    KODISTIL_ASSIGN_OR_RETURN(const LossSums sums,
                              RunStep(epoch, step, batches[step], &rate));
    total += sums.total;
    hard += sums.hard;
    soft += sums.soft;
    done += sums.rows;
    labelled += sums.labelled;
    if ((step + 1) % kStepsPerProgress != 0) continue;
    seconds += Now() - start;
    TrainProgress progress;
    progress.epoch = epoch;
    progress.epoch_fraction = double(done) / train_.size();
    progress.train_loss = total / done;
    if (!GoOn(progress)) {
      return absl::CancelledError(
          absl::StrCat("stopped in epoch ", epoch, ", step ", step + 1));
    }
    start = Now();
  }
  report->set_epoch(epoch);
  report->set_train_loss(total / done);
  report->set_hard_loss(labelled == 0 ? 0 : hard / labelled);
  report->set_soft_loss(soft / done);
  report->set_learning_rate(rate);
  report->set_seconds(seconds + Now() - start);
  return absl::OkStatus();
}

absl::Status TrainingRun::KeepEpoch(const v1::EpochReport& report) {
  v1::TrialResult& result = state_.result;
  double best = -1;
  if (result.selected_epoch() > 0) {
    best = result.history(result.selected_epoch() - 1).valid_accuracy();
  }
  KODISTIL_ASSIGN_OR_RETURN(StudentEngine::State state, engine_->GetState());
  const bool by_accuracy = config_.select() == "best" && !valid_.empty();
  if (!by_accuracy || report.valid_accuracy() > best) {
    result.set_selected_epoch(report.epoch());
    state_.best = state.parameters;
  }
  *result.add_history() = report;
  result.set_epochs(report.epoch());
  result.set_train_seconds(result.train_seconds() + report.seconds());
  state_.parameters = std::move(state.parameters);
  state_.adam_mean = std::move(state.adam_mean);
  state_.adam_square = std::move(state.adam_square);
  state_.adam_steps = state.steps;
  if (options_.checkpoint_dir.empty()) return absl::OkStatus();
  return WriteCheckpoint(state_, options_.checkpoint_dir);
}

absl::Status TrainingRun::RunEpoch(int epoch) {
  v1::EpochReport report;
  KODISTIL_RETURN_IF_ERROR(RunSteps(epoch, &report));
  KODISTIL_ASSIGN_OR_RETURN(
      const Evaluation valid,
      Evaluate(*engine_, rows_, shape_.num_classes, valid_));
  if (valid.total > 0) {
    report.set_valid_accuracy(double(valid.correct) / valid.total);
  }
  KODISTIL_RETURN_IF_ERROR(KeepEpoch(report));
  TrainProgress progress;
  progress.epoch = epoch;
  progress.epoch_fraction = 1;
  progress.train_loss = report.train_loss();
  progress.finished = &report;
  if (GoOn(progress)) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("stopped after epoch ", epoch));
}

absl::StatusOr<TrainOutcome> TrainingRun::Finish() {
  KODISTIL_RETURN_IF_ERROR(engine_->SetState(
      {state_.best, state_.adam_mean, state_.adam_square, state_.adam_steps}));
  KODISTIL_ASSIGN_OR_RETURN(
      const Evaluation test,
      Evaluate(*engine_, rows_, shape_.num_classes, test_));
  TrainOutcome outcome;
  outcome.result = state_.result;
  outcome.result.set_correct(test.correct);
  outcome.result.set_total(test.total);
  outcome.result.set_test_loss(test.loss);
  outcome.result.set_parameters(shape_.Parameters());
  const double seconds = outcome.result.train_seconds();
  if (seconds > 0) {
    outcome.result.set_train_rows_per_second(double(train_.size()) *
                                             outcome.result.epochs() / seconds);
  }
  KODISTIL_ASSIGN_OR_RETURN(outcome.weights, engine_->Weights());
  return outcome;
}

absl::StatusOr<TrainOutcome> TrainingRun::Run() {
  KODISTIL_RETURN_IF_ERROR(Prepare());
  const int first = static_cast<int>(state_.result.epochs()) + 1;
  const int last = static_cast<int>(config_.train_epoch());
  for (int epoch = first; epoch <= last; ++epoch) {
    KODISTIL_RETURN_IF_ERROR(RunEpoch(epoch));
  }
  return Finish();
}

}  // namespace

StudentShape ShapeOf(const v1::StudentConfig& config, int num_classes) {
  StudentShape shape;
  shape.vocab_size = static_cast<int>(config.vocab_size());
  shape.embedding_dim = static_cast<int>(config.embedding_dim());
  shape.hidden_dim = static_cast<int>(config.hidden_dim());
  shape.lstm_num_layers = static_cast<int>(config.lstm_num_layers());
  shape.num_classes = num_classes;
  return shape;
}

absl::Status TrainOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(ShapeOf(config, num_classes).Validate());
  if (config.batch_size() < 1 || config.batch_size() > 65536) {
    return Bad("batch_size", config.batch_size(), "1 to 65536");
  }
  if (config.train_epoch() < 1 || config.train_epoch() > 100000) {
    return Bad("train_epoch", config.train_epoch(), "1 to 100000");
  }
  if (!(config.dropout() >= 0 && config.dropout() < 1)) {
    return Bad("dropout", config.dropout(), "0 to below 1");
  }
  if (config.select() != "best" && config.select() != "last") {
    return absl::InvalidArgumentError(absl::StrCat(
        "select is \"", config.select(), "\"; expected best or last"));
  }
  KODISTIL_RETURN_IF_ERROR(EngineOptionsOf(*this).Validate());
  LossOptions loss;
  KODISTIL_ASSIGN_OR_RETURN(loss.kind, ParseLossKind(config.loss_option()));
  loss.loss_rate = config.loss_rate();
  loss.temperature = config.temperature();
  KODISTIL_RETURN_IF_ERROR(loss.Validate());
  return LrSchedule::Create(config).status();
}

absl::StatusOr<TrainOutcome> TrainOnRows(const TrainOptions& options,
                                         const TrainingRows& rows,
                                         const ProgressCallback& progress) {
  return TrainingRun(options, rows, progress).Run();
}

absl::StatusOr<Evaluation> EvaluateOnRows(const StudentShape& shape,
                                          const StudentWeights& weights,
                                          const TrainingRows& rows,
                                          const std::vector<uint32_t>& indices,
                                          int threads) {
  EngineOptions options;
  options.threads = threads;
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<StudentEngine> engine,
                            CreateStudentEngine(shape, options));
  KODISTIL_RETURN_IF_ERROR(engine->SetWeights(weights));
  for (uint32_t row : indices) {
    KODISTIL_RETURN_IF_ERROR(CheckRow(rows, row, shape));
    if (rows.label(row) != kNoLabel) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has no label; expected one"));
  }
  return Evaluate(*engine, rows, shape.num_classes, indices);
}

}  // namespace kodistil
