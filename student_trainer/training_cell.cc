#include "student_trainer/training_cell.h"

#include <chrono>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "student_trainer/engine_factory.h"
#include "student_trainer/trainer_metrics.h"

namespace kodistil {
namespace {

// Part of a run's identity: raise it when the same input would give other
// weights.
constexpr uint64_t kTrainingVersion = 2;
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

absl::Status CheckOptimizer(const v1::StudentConfig& config) {
  const std::string& name = config.optimizer();
  if (!name.empty() && name != "adam" && name != "adamw") {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer is \"", name, "\"; expected adam or adamw"));
  }
  const double most = name == "adamw" ? 10 : 0;
  if (config.weight_decay() >= 0 && config.weight_decay() <= most) {
    return absl::OkStatus();
  }
  return Bad("weight_decay", config.weight_decay(),
             most > 0 ? "0 to 10" : "0, as the optimizer is adam");
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
  KODISTIL_RETURN_IF_ERROR(CheckOptimizer(config));
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

absl::Status AddToEvaluation(const StudentEngine& engine,
                             const LabelledBatch& batch,
                             Evaluation* evaluation) {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> logits,
                            engine.Logits(batch.packed));
  const size_t classes = engine.shape().num_classes;
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    const auto row = absl::MakeSpan(logits).subspan(i * classes, classes);
    if (ArgMax(row) == batch.labels[i]) {
      ++evaluation->correct;
      evaluation->right.push_back(batch.packed.rows[i]);
    }
    evaluation->loss += CrossEntropy(row, batch.labels[i]);
  }
  evaluation->total += batch.labels.size();
  return absl::OkStatus();
}

TrainingCell::TrainingCell(const TrainOptions& options,
                           const TrainingRows& rows, const RowLogits* logits,
                           size_t source, ProgressCallback progress)
    : options_(options),
      rows_(rows),
      logits_(logits),
      source_(source),
      progress_(std::move(progress)),
      shape_(ShapeOf(options.config, options.num_classes)) {}

void TrainingCell::Prepare() { status_ = TryPrepare(); }

absl::Status TrainingCell::TryPrepare() {
  const v1::StudentConfig& config = options_.config;
  KODISTIL_RETURN_IF_ERROR(options_.Validate());
  KODISTIL_ASSIGN_OR_RETURN(loss_.kind, ParseLossKind(config.loss_option()));
  loss_.loss_rate = config.loss_rate();
  loss_.temperature = config.temperature();
  if (loss_.kind != LossKind::kCe && logits_ == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss_option is ", config.loss_option(),
                     ", but there are no teacher logits"));
  }
  KODISTIL_ASSIGN_OR_RETURN(schedule_, LrSchedule::Create(config));
  KODISTIL_ASSIGN_OR_RETURN(
      splits_, SplitRows(rows_, shape_,
                         /*need_labels=*/loss_.kind == LossKind::kCe));
  KODISTIL_ASSIGN_OR_RETURN(
      engine_, CreateStudentEngine(shape_, EngineOptionsOf(options_)));
  return ResumeOrInitialize();
}

std::string TrainingCell::RunIdentity() const {
  Sha256 hash;
  hash.UpdateUint64(kTrainingVersion);
  hash.UpdateField(options_.config.SerializeAsString());
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
    const absl::Span<const float> logits = (*logits_)(row);
    hash.UpdateField({reinterpret_cast<const char*>(logits.data()),
                      logits.size() * sizeof(float)});
  }
  return hash.Finish();
}

absl::Status TrainingCell::ResumeOrInitialize() {
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
    // A newer worker may go on with it: it is not ours to replace.
    if (absl::IsUnimplemented(found.status())) return found.status();
    if (found.status().code() != absl::StatusCode::kNotFound) {
      LOG(WARNING) << "checkpoint ignored, training starts anew: "
                   << found.status().message();
    }
  }
  return engine_->Initialize(MixSeed(options_.config.seed(), 0, kWeightStream));
}

void TrainingCell::BeginEpoch() {
  if (!status_.ok()) return;
  engine_->SeedDropout(
      MixSeed(options_.config.seed(), epochs() + 1, kDropoutStream));
  sums_ = LossSums();
  step_ = 0;
  seconds_ = 0;
}

absl::StatusOr<LossSums> TrainingCell::TryStep(const LabelledBatch& batch) {
  const v1::StudentConfig& config = options_.config;
  const int64_t batch_size = config.batch_size();
  const int64_t steps = (splits_.train.size() + batch_size - 1) / batch_size;
  rate_ = schedule_->Rate(epochs(), epochs() * steps + step_);
  StepOptions step;
  step.dropout = config.dropout();
  step.rate = rate_;
  step.weight_decay = config.weight_decay();
  const absl::Span<const float> teacher = loss_.kind == LossKind::kCe
                                              ? absl::Span<const float>()
                                              : batch.teachers[source_];
  KODISTIL_ASSIGN_OR_RETURN(
      const LossSums sums,
      engine_->TrainStep(
          batch.packed, step,
          [&](absl::Span<const float> logits, absl::Span<float> gradient) {
            return DistillationLoss(loss_, shape_.num_classes, logits,
                                    batch.labels, teacher, gradient);
          }));
  if (std::isfinite(sums.total)) return sums;
  return absl::OutOfRangeError(absl::StrCat(
      "the loss is not finite at epoch ", epochs() + 1, ", step ", step_ + 1,
      " (", sums.total, "); a smaller lr may help, now ", rate_));
}

void TrainingCell::Step(const LabelledBatch& batch) {
  if (!status_.ok()) return;
  const double start = Now();
  const absl::StatusOr<LossSums> sums = TryStep(batch);
  if (!sums.ok()) {
    status_ = sums.status();
    return;
  }
  sums_.total += sums->total;
  sums_.hard += sums->hard;
  sums_.soft += sums->soft;
  sums_.rows += sums->rows;
  sums_.labelled += sums->labelled;
  ++step_;
  const double seconds = Now() - start;
  seconds_ += seconds;
  TrainerMetrics& metrics = TrainerMetrics::Process();
  metrics.steps.Increment();
  metrics.rows.Increment(sums->rows);
  metrics.step_seconds.Observe(seconds);
  Stepped();
  if (step_ % kStepsPerProgress != 0) return;
  TrainProgress progress;
  progress.epoch = epochs() + 1;
  progress.epoch_fraction = double(sums_.rows) / splits_.train.size();
  progress.train_loss = sums_.total / sums_.rows;
  metrics.loss.Set(progress.train_loss);
  Tell(progress, absl::StrCat("in epoch ", progress.epoch, ", step ", step_));
}

void TrainingCell::Tell(const TrainProgress& progress,
                        const std::string& where) {
  if (!progress_ || progress_(progress)) return;
  status_ = absl::CancelledError(absl::StrCat("stopped ", where));
}

absl::Status TrainingCell::KeepEpoch(const v1::EpochReport& report) {
  v1::TrialResult& result = state_.result;
  double best = -1;
  if (result.selected_epoch() > 0) {
    best = result.history(result.selected_epoch() - 1).valid_accuracy();
  }
  KODISTIL_ASSIGN_OR_RETURN(StudentEngine::State state, engine_->GetState());
  const bool by_accuracy =
      options_.config.select() == "best" && !splits_.valid.empty();
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

void TrainingCell::EndEpoch(double shared_seconds) {
  if (!status_.ok()) return;
  v1::EpochReport report;
  report.set_epoch(epochs() + 1);
  report.set_train_loss(sums_.total / sums_.rows);
  report.set_hard_loss(sums_.labelled == 0 ? 0 : sums_.hard / sums_.labelled);
  report.set_soft_loss(sums_.soft / sums_.rows);
  report.set_learning_rate(rate_);
  report.set_seconds(seconds_ + shared_seconds);
  report.set_rows(sums_.rows);
  if (evaluation_.total > 0) {
    report.set_valid_accuracy(double(evaluation_.correct) / evaluation_.total);
  }
  status_ = KeepEpoch(report);
  if (!status_.ok()) return;
  TrainerMetrics::Process().epochs.Increment();
  TrainerMetrics::Process().loss.Set(report.train_loss());
  TrainProgress progress;
  progress.epoch = epochs();
  progress.epoch_fraction = 1;
  progress.train_loss = report.train_loss();
  progress.finished = &report;
  Tell(progress, absl::StrCat("after epoch ", epochs()));
}

void TrainingCell::Evaluate(const LabelledBatch& batch) {
  if (!status_.ok()) return;
  status_ = AddToEvaluation(*engine_, batch, &evaluation_);
  Stepped();
}

void TrainingCell::SelectEpoch() {
  if (!status_.ok()) return;
  status_ = engine_->SetState(
      {state_.best, state_.adam_mean, state_.adam_square, state_.adam_steps});
}

absl::StatusOr<TrainOutcome> TrainingCell::Finish() {
  KODISTIL_RETURN_IF_ERROR(status_);
  TrainOutcome outcome;
  outcome.result = state_.result;
  outcome.result.set_correct(evaluation_.correct);
  outcome.result.set_total(evaluation_.total);
  const std::unordered_set<uint32_t> right(evaluation_.right.begin(),
                                           evaluation_.right.end());
  for (const uint32_t row : splits_.test) {
    outcome.predictions.push_back(right.count(row) > 0);
  }
  if (evaluation_.total > 0) {
    outcome.result.set_test_loss(evaluation_.loss / evaluation_.total);
  }
  outcome.result.set_parameters(shape_.Parameters());
  const double seconds = outcome.result.train_seconds();
  if (seconds > 0) {
    outcome.result.set_train_rows_per_second(double(splits_.train.size()) *
                                             outcome.result.epochs() / seconds);
  }
  KODISTIL_ASSIGN_OR_RETURN(outcome.weights, engine_->Weights());
  return outcome;
}

}  // namespace kodistil
