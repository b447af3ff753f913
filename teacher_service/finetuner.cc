#include "teacher_service/finetuner.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "teacher_service/adamw.h"
#include "teacher_service/finetune_folder.h"
#include "teacher_service/finetune_log.h"
#include "teacher_service/finetune_model.h"
#include "teacher_service/finetune_rows.h"
#include "teacher_service/finetune_state.h"
#include "teacher_service/torch_device.h"
#include "teacher_service/transformer_config.h"

namespace kodistil {
namespace {

constexpr int64_t kRecordEvery = 10;  // steps

// Everything that the weights depend on.
std::string RunDigest(const FinetuneOptions& options,
                      const FinetuneStart& start, const Dataset& dataset) {
  Sha256 hash;
  hash.UpdateField(OptionsDigest(options));
  hash.UpdateField(dataset.Fingerprint());
  std::string splits;
  for (const Row& row : dataset.rows) {
    splits.push_back(static_cast<char>(row.split));
  }
  hash.UpdateField(splits);
  hash.UpdateField(start.weights_digest);
  hash.UpdateField(start.config_json);
  for (const auto& [name, content] : start.tokenizer_files) {
    hash.UpdateField(name);
    hash.UpdateField(content);
  }
  return hash.FinishHex();
}

class FinetuneRun {
 public:
  FinetuneRun(const FinetuneOptions& options, const FinetuneHooks& hooks,
              FinetuneRows rows, std::unique_ptr<FinetuneModel> model)
      : options_(options),
        hooks_(hooks),
        rows_(std::move(rows)),
        model_(std::move(model)),
        passes_per_epoch_((rows_.train.size() + options.batch_rows - 1) /
                          options.batch_rows),
        steps_per_epoch_((passes_per_epoch_ + options.accumulation - 1) /
                         options.accumulation),
        total_steps_(steps_per_epoch_ * options.epochs),
        state_path_(FinetuneStatePath(options.output)) {}

  // Takes up the state of an earlier run if there is one.
  absl::Status Begin(const std::string& run);
  absl::Status Train();
  // Writes the folder's weights and its report.
  absl::StatusOr<FinetuneReport> Finish();

 private:
  // The mean loss of the step's rows.
  absl::StatusOr<double> RunStep(int64_t step);
  absl::Status Evaluate();
  absl::Status SaveState();
  absl::Status Record(FinetuneRecord record);
  void Describe() const;

  const FinetuneOptions options_;
  const FinetuneHooks hooks_;
  const FinetuneRows rows_;
  const std::unique_ptr<FinetuneModel> model_;
  const int64_t passes_per_epoch_, steps_per_epoch_, total_steps_;
  const std::string state_path_;
  FinetuneProgress progress_;
  int64_t resumed_from_ = 0;
  absl::Time since_;  // seconds in progress_ are up to here
  std::unique_ptr<FinetuneLog> log_;
  // Of the epoch of `batches_epoch_`.
  std::vector<std::vector<uint32_t>> batches_;
  int64_t batches_epoch_ = -1;
  double gradient_norm_ = 0;
};

void FinetuneRun::Describe() const {
  int64_t tokens = 0;
  for (const FinetuneRow& row : rows_.train) tokens += row.ids.size();
  hooks_.say(absl::StrFormat(
      "%s parameters on %s; %s rows to train on (%.1f tokens each), %s to "
      "choose by, %s to test; %s steps",
      WithCommas(model_->parameters()), model_->device(),
      WithCommas(rows_.train.size()),
      static_cast<double>(tokens) / rows_.train.size(),
      WithCommas(rows_.valid.size()), WithCommas(rows_.test.size()),
      WithCommas(total_steps_)));
  if (rows_.valid.empty()) {
    hooks_.say("no rows to choose by: the last weights are kept");
  }
}

absl::Status FinetuneRun::Begin(const std::string& run) {
  Describe();
  progress_.run = run;
  if (FileExists(state_path_)) {
    KODISTIL_ASSIGN_OR_RETURN(progress_, model_->Load(state_path_, run));
    resumed_from_ = progress_.step;
    hooks_.say(absl::StrCat("resuming after step ", WithCommas(resumed_from_),
                            " of ", WithCommas(total_steps_)));
  }
  KODISTIL_ASSIGN_OR_RETURN(
      FinetuneLog log,
      FinetuneLog::Open(JoinPath(options_.output, "train.jsonl"),
                        progress_.step));
  log_ = std::make_unique<FinetuneLog>(std::move(log));
  since_ = absl::Now();
  return absl::OkStatus();
}

absl::StatusOr<double> FinetuneRun::RunStep(int64_t step) {
  const int64_t epoch = step / steps_per_epoch_;
  if (epoch != batches_epoch_) {
    batches_ = EpochBatches(rows_.train.size(), options_.batch_rows,
                            options_.seed, epoch);
    batches_epoch_ = epoch;
  }
  const int64_t begin = step % steps_per_epoch_ * options_.accumulation;
  const int64_t end =
      std::min<int64_t>(begin + options_.accumulation, batches_.size());
  int64_t rows = 0;
  for (int64_t i = begin; i < end; ++i) rows += batches_[i].size();
  double mean = 0;
  for (int64_t i = begin; i < end; ++i) {
    const double weight = static_cast<double>(batches_[i].size()) / rows;
    KODISTIL_ASSIGN_OR_RETURN(
        const double loss,
        model_->Accumulate(rows_.train, batches_[i],
                           epoch * passes_per_epoch_ + i, weight));
    mean += weight * loss;
  }
  const auto warmup =
      static_cast<int64_t>(total_steps_ * options_.warmup_ratio);
  KODISTIL_ASSIGN_OR_RETURN(
      gradient_norm_, model_->Step(LinearRate(options_.learning_rate, step,
                                              warmup, total_steps_)));
  return mean;
}

absl::Status FinetuneRun::Record(FinetuneRecord record) {
  record.step = progress_.step;
  record.epoch = static_cast<double>(progress_.step) / steps_per_epoch_;
  KODISTIL_RETURN_IF_ERROR(log_->Append(record));
  hooks_.record(record, total_steps_);
  return absl::OkStatus();
}

absl::Status FinetuneRun::SaveState() {
  const absl::Time now = absl::Now();
  progress_.seconds += absl::ToDoubleSeconds(now - since_);
  since_ = now;
  return model_->Save(progress_, state_path_);
}

absl::Status FinetuneRun::Evaluate() {
  if (!rows_.valid.empty()) {
    const absl::Time start = absl::Now();
    KODISTIL_ASSIGN_OR_RETURN(const FinetuneEvaluation evaluation,
                              model_->Evaluate(rows_.valid));
    const bool masked = options_.task == FinetuneTask::kMaskedLanguageModel;
    const double metric = masked ? -evaluation.loss : evaluation.accuracy();
    if (progress_.best_step < 0 || metric > progress_.best_metric) {
      progress_.best_metric = metric;
      progress_.best_step = progress_.step;
      model_->KeepBest();
    }
    FinetuneRecord record;
    record.split = "valid";
    record.loss = evaluation.loss;
    record.accuracy = evaluation.accuracy();
    record.rows_per_second =
        rows_.valid.size() / absl::ToDoubleSeconds(absl::Now() - start);
    KODISTIL_RETURN_IF_ERROR(Record(std::move(record)));
  }
  return SaveState();
}

absl::Status FinetuneRun::Train() {
  double losses = 0;
  int64_t steps = 0;
  absl::Time begin = absl::Now();
  while (progress_.step < total_steps_) {
    if (hooks_.stopped()) {
      KODISTIL_RETURN_IF_ERROR(SaveState());
      return absl::CancelledError(absl::StrCat(
          "stopped after step ", WithCommas(progress_.step), " of ",
          WithCommas(total_steps_), "; the same command goes on from there"));
    }
    KODISTIL_ASSIGN_OR_RETURN(const double loss, RunStep(progress_.step));
    ++progress_.step;
    losses += loss;
    ++steps;
    const int64_t step = progress_.step;
    if (step % kRecordEvery == 0 || step == total_steps_) {
      FinetuneRecord record;
      record.loss = losses / steps;
      const auto warmup =
          static_cast<int64_t>(total_steps_ * options_.warmup_ratio);
      record.learning_rate =
          LinearRate(options_.learning_rate, step - 1, warmup, total_steps_);
      record.gradient_norm = gradient_norm_;
      record.rows_per_second = steps * options_.batch_rows *
                               options_.accumulation /
                               absl::ToDoubleSeconds(absl::Now() - begin);
      KODISTIL_RETURN_IF_ERROR(Record(std::move(record)));
      losses = 0;
      steps = 0;
      begin = absl::Now();
    }
    const bool due = options_.eval_every > 0 ? step % options_.eval_every == 0
                                             : step % steps_per_epoch_ == 0;
    if (due || step == total_steps_) {
      KODISTIL_RETURN_IF_ERROR(Evaluate());
      begin = absl::Now();
    } else if (options_.checkpoint_every > 0 &&
               step % options_.checkpoint_every == 0) {
      KODISTIL_RETURN_IF_ERROR(SaveState());
    }
  }
  return absl::OkStatus();
}

std::string ReportJson(const FinetuneReport& report, const std::string& run) {
  const nlohmann::ordered_json json = {
      {"run", run},
      {"steps", report.steps},
      {"best_step", report.best_step},
      {"seconds", report.seconds},
      {"parameters", report.parameters},
      {"valid_accuracy", report.valid_accuracy},
      {"test_accuracy", report.test_accuracy},
      {"test_correct", report.test_correct},
      {"test_total", report.test_total}};
  return json.dump(2) + "\n";
}

std::string ReportPath(const std::string& output) {
  return JoinPath(output, "finetune.json");
}

absl::StatusOr<FinetuneReport> FinetuneRun::Finish() {
  model_->RestoreBest();
  FinetuneReport report;
  report.steps = progress_.step;
  report.resumed_from = resumed_from_;
  report.seconds = progress_.seconds;
  report.parameters = model_->parameters();
  report.best_step =
      progress_.best_step < 0 ? progress_.step : progress_.best_step;
  if (!rows_.valid.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(const FinetuneEvaluation valid,
                              model_->Evaluate(rows_.valid));
    report.valid_accuracy = valid.accuracy();
  }
  if (!rows_.test.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(const FinetuneEvaluation test,
                              model_->Evaluate(rows_.test));
    report.test_accuracy = test.accuracy();
    report.test_correct = test.correct;
    report.test_total = test.total;
    FinetuneRecord record;
    record.split = "test";
    record.loss = test.loss;
    record.accuracy = test.accuracy();
    KODISTIL_RETURN_IF_ERROR(Record(std::move(record)));
  }
  KODISTIL_RETURN_IF_ERROR(
      model_->Export(JoinPath(options_.output, "model.safetensors")));
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(
      ReportPath(options_.output), ReportJson(report, progress_.run)));
  // Last: until here a crash leaves a state to finish from.
  KODISTIL_RETURN_IF_ERROR(RemoveAll(state_path_));
  return report;
}

// The report of a finished run in the folder. NOT_FOUND when there is none;
// FAILED_PRECONDITION when it is another run's.
absl::StatusOr<FinetuneReport> ReadReport(const std::string& output,
                                          const std::string& run) {
  const std::string path = ReportPath(output);
  KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("run")) {
    return absl::DataLossError(
        absl::StrCat(path, ": not a report of fine-tuning"));
  }
  if (json["run"] != run) {
    return absl::FailedPreconditionError(absl::StrCat(
        output,
        ": holds the teacher of another run (other options, data or "
        "starting weights); give another --output, or remove that "
        "folder"));
  }
  FinetuneReport report;
  report.steps = json.value("steps", int64_t{0});
  report.resumed_from = report.steps;
  report.best_step = json.value("best_step", int64_t{0});
  report.seconds = json.value("seconds", 0.0);
  report.parameters = json.value("parameters", uint64_t{0});
  report.valid_accuracy = json.value("valid_accuracy", -1.0);
  report.test_accuracy = json.value("test_accuracy", -1.0);
  report.test_correct = json.value("test_correct", int64_t{0});
  report.test_total = json.value("test_total", int64_t{0});
  report.was_done = true;
  return report;
}

}  // namespace

absl::StatusOr<FinetuneReport> Finetune(const FinetuneOptions& options,
                                        const Dataset& dataset,
                                        const FinetuneHooks& hooks) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  SetTorchThreads(options.threads);
  KODISTIL_ASSIGN_OR_RETURN(const FinetuneStart start,
                            ReadFinetuneStart(options, dataset));
  const std::string run = RunDigest(options, start, dataset);
  if (!FileExists(FinetuneStatePath(options.output)) &&
      FileExists(ReportPath(options.output))) {
    return ReadReport(options.output, run);
  }
  KODISTIL_RETURN_IF_ERROR(PrepareOutput(start, options.output));
  KODISTIL_ASSIGN_OR_RETURN(
      const TransformerConfig config,
      ParseTransformerConfig(start.config_json, start.config_source));
  const int max_length =
      config.max_positions > 0
          ? std::min<int64_t>(options.max_length, config.max_positions)
          : options.max_length;
  KODISTIL_ASSIGN_OR_RETURN(const FinetuneTokenizer tokenizer,
                            OpenFinetuneTokenizer(options.output, max_length));
  const bool labelled = options.task == FinetuneTask::kClassification;
  KODISTIL_ASSIGN_OR_RETURN(
      FinetuneRows rows,
      EncodeDataset(dataset, tokenizer.encode, dataset.num_classes, labelled));
  KODISTIL_ASSIGN_OR_RETURN(std::unique_ptr<FinetuneModel> model,
                            FinetuneModel::Create(options, start, tokenizer));
  FinetuneRun trainer(options, hooks, std::move(rows), std::move(model));
  KODISTIL_RETURN_IF_ERROR(trainer.Begin(run));
  KODISTIL_RETURN_IF_ERROR(trainer.Train());
  return trainer.Finish();
}

}  // namespace kodistil
