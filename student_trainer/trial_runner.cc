#include "student_trainer/trial_runner.h"

#include <glog/logging.h>
#include <malloc.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "corpus/predictions.h"
#include "logit_store/snapshot.h"
#include "student_trainer/checkpoint.h"
#include "student_trainer/engine_factory.h"
#include "student_trainer/latency.h"
#include "student_trainer/student.h"
#include "student_trainer/student_card.h"
#include "student_trainer/trainer.h"

namespace kodistil {
namespace {

std::string EngineOf(const v1::StudentConfig& config) {
  return config.engine().empty() ? EngineOptions().engine : config.engine();
}

constexpr char kWeightsFile[] = "model.safetensors";

// Rows whose time through the inference kernel is taken, at most.
constexpr uint32_t kLatencyRows = 256;

WordPieceOptions TokenizerOf(const v1::TrialInputs& inputs) {
  WordPieceOptions options;
  options.lower_case = inputs.lower_case();
  options.strip_accents = inputs.strip_accents();
  return options;
}

// The logits that trials of one dataset need, each set opened once.
class LogitSnapshots {
 public:
  LogitSnapshots(const TrialRunnerOptions& options, uint32_t rows,
                 int num_classes)
      : options_(options), rows_(rows), num_classes_(num_classes) {}

  // Null for "ce", which has none.
  absl::StatusOr<const LogitSnapshot*> Of(const v1::LeasedTrial& trial) {
    if (trial.config().loss_option() == "ce") return nullptr;
    SnapshotSource source;
    source.address = trial.inputs().logit_store();
    source.access = options_.access;
    source.teacher_fingerprint = trial.config().teacher();
    source.dataset = trial.inputs().dataset();
    source.dataset_fingerprint = trial.inputs().dataset_fingerprint();
    std::unique_ptr<LogitSnapshot>& found =
        snapshots_[source.teacher_fingerprint];
    if (found != nullptr) return found.get();
    KODISTIL_ASSIGN_OR_RETURN(
        LogitSnapshot snapshot,
        LogitSnapshot::OpenOrFetch(options_.cache_dir, source));
    if (snapshot.row_count() != rows_ ||
        snapshot.num_classes() != static_cast<uint32_t>(num_classes_)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "logits of dataset ", source.dataset, ": ", snapshot.row_count(),
          " rows of ", snapshot.num_classes(), " classes, but the dataset has ",
          rows_, " rows of ", num_classes_));
    }
    found = std::make_unique<LogitSnapshot>(std::move(snapshot));
    return found.get();
  }

 private:
  const TrialRunnerOptions& options_;
  const uint32_t rows_;
  const int num_classes_;
  std::map<std::string, std::unique_ptr<LogitSnapshot>> snapshots_;
};

// Whether rows, tokens and the order of batches are the same for both.
bool ShareBatches(const v1::LeasedTrial& a, const v1::LeasedTrial& b) {
  const auto inputs = [](const v1::LeasedTrial& trial) {
    v1::TrialInputs inputs = trial.inputs();
    inputs.clear_logit_store();
    return inputs.SerializeAsString();
  };
  return inputs(a) == inputs(b) &&
         a.config().max_length() == b.config().max_length() &&
         a.config().batch_size() == b.config().batch_size() &&
         a.config().seed() == b.config().seed();
}

// Tokens of rows of the test split, spread over it.
std::vector<std::vector<int32_t>> LatencyRows(const TokenizedDataset& data) {
  std::vector<uint32_t> test;
  for (uint32_t row = 0; row < data.row_count(); ++row) {
    if (data.SplitOf(row) == Split::kTest) test.push_back(row);
  }
  std::vector<std::vector<int32_t>> rows;
  const size_t step = test.size() / kLatencyRows + 1;
  for (size_t i = 0; i < test.size(); i += step) {
    const absl::Span<const uint16_t> tokens = data.Tokens(test[i]);
    rows.emplace_back(tokens.begin(), tokens.end());
  }
  return rows;
}

// What many small strings have left behind.
void GiveMemoryBack() {
#ifdef __GLIBC__
  malloc_trim(/*pad=*/0);
#endif
}

}  // namespace

TrialRunner::TrialRunner(const TrialRunnerOptions& options,
                         const ArtifactClient* artifacts)
    : options_(options), artifacts_(*artifacts) {}

std::string TrialRunner::CheckpointDir(const std::string& trial_id) const {
  return JoinPath(JoinPath(options_.cache_dir, "checkpoints"), trial_id);
}

absl::Status TrialRunner::DropCheckpoint(const std::string& trial_id) const {
  KODISTIL_RETURN_IF_ERROR(CheckName("trial id", trial_id));
  return RemoveAll(CheckpointDir(trial_id));
}

absl::StatusOr<MappedFile> TrialRunner::OpenCheckpoint(
    const std::string& trial_id) const {
  return MappedFile::Open(CheckpointPath(CheckpointDir(trial_id)));
}

void TrialRunner::BringCheckpoint(const v1::LeasedTrial& trial) const {
  if (!trial.has_checkpoint()) return;
  const v1::TrialCheckpoint& kept = trial.checkpoint();
  const std::string folder = CheckpointDir(trial.trial_id());
  const absl::StatusOr<uint32_t> here = CheckpointEpochs(folder);
  if (here.ok() && *here >= kept.epoch()) return;
  // A newer program's stays as it is; the training says so.
  if (absl::IsUnimplemented(here.status())) return;
  const absl::StatusOr<std::string> content =
      artifacts_.Download(kept.digest());
  absl::Status status = content.status();
  if (status.ok()) {
    status = WriteFileAtomically(CheckpointPath(folder), *content);
  }
  if (status.ok()) {
    LOG(INFO) << "trial " << trial.trial_id()
              << ": fetched its checkpoint of epoch " << kept.epoch() << ", "
              << kept.bytes() << " bytes";
    return;
  }
  LOG(WARNING) << "trial " << trial.trial_id() << ": no checkpoint of epoch "
               << kept.epoch() << ", training goes on after epoch "
               << (here.ok() ? *here : 0) << ": " << status;
}

void TrialRunner::Run(const std::vector<TrialTask>& tasks,
                      const TaskDone& done) {
  std::vector<bool> taken(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    const absl::Status valid = CheckName("trial id", tasks[i].trial.trial_id());
    if (valid.ok()) continue;
    taken[i] = true;
    done(i, valid);
  }
  for (size_t first = 0; first < tasks.size(); ++first) {
    if (taken[first]) continue;
    Group group;
    for (size_t i = first; i < tasks.size(); ++i) {
      if (taken[i] || !ShareBatches(tasks[first].trial, tasks[i].trial)) {
        continue;
      }
      taken[i] = true;
      group.push_back(i);
    }
    RunGroup(tasks, group, done);
  }
}

absl::StatusOr<Dataset> TrialRunner::FetchDataset(
    const v1::TrialInputs& inputs) {
  const std::string& digest = inputs.dataset_digest();
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, artifacts_.Get(digest));
  KODISTIL_ASSIGN_OR_RETURN(
      Dataset dataset,
      ParseDataset(file.bytes(), absl::StrCat("artifact ", digest)));
  const std::string fingerprint = dataset.Fingerprint();
  if (fingerprint != inputs.dataset_fingerprint()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "dataset ", inputs.dataset(), " has fingerprint ", fingerprint,
        ", but the trial is for ", inputs.dataset_fingerprint()));
  }
  dataset_ = {digest, fingerprint, dataset.rows.size(), dataset.num_classes};
  return dataset;
}

absl::StatusOr<TokenizedDataset> TrialRunner::OpenTokens(
    const v1::LeasedTrial& trial, absl::string_view vocab) {
  const v1::TrialInputs& inputs = trial.inputs();
  const WordPieceOptions tokenizer = TokenizerOf(inputs);
  const int max_length = trial.config().max_length();
  if (inputs.dataset_digest() == dataset_.digest &&
      inputs.dataset_fingerprint() == dataset_.fingerprint) {
    absl::StatusOr<TokenizedDataset> made = TokenizedDataset::OpenMade(
        options_.cache_dir, dataset_.fingerprint, vocab, tokenizer, max_length);
    if (!absl::IsNotFound(made.status())) return made;
  }
  absl::StatusOr<TokenizedDataset> tokens;
  {
    KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset, FetchDataset(inputs));
    tokens = TokenizedDataset::OpenOrCreate(options_.cache_dir, dataset, vocab,
                                            tokenizer, max_length);
  }
  GiveMemoryBack();
  return tokens;
}

void TrialRunner::RunGroup(const std::vector<TrialTask>& tasks,
                           const Group& group, const TaskDone& done) {
  std::set<size_t> left(group.begin(), group.end());
  const absl::Status status = TryRunGroup(
      tasks, group, [&](size_t task, absl::StatusOr<v1::TrialResult> result) {
        left.erase(task);
        done(task, std::move(result));
      });
  // What none of them could do without.
  for (const size_t task : left) done(task, status);
}

absl::Status TrialRunner::TryRunGroup(const std::vector<TrialTask>& tasks,
                                      const Group& group,
                                      const TaskDone& done) {
  const v1::LeasedTrial& first = tasks[group.front()].trial;
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile vocab,
                            artifacts_.Get(first.inputs().vocab_digest()));
  KODISTIL_ASSIGN_OR_RETURN(const TokenizedDataset data,
                            OpenTokens(first, vocab.bytes()));
  LOG_IF(INFO, group.size() > 1)
      << group.size() << " trials are trained together";
  LogitSnapshots snapshots(options_, data.row_count(), dataset_.num_classes);
  std::vector<StudentCell> cells;
  Group trained;  // the task of each cell
  for (const size_t task : group) {
    const v1::LeasedTrial& trial = tasks[task].trial;
    const auto logits = snapshots.Of(trial);
    if (!logits.ok()) {
      done(task, logits.status());
      continue;
    }
    BringCheckpoint(trial);
    StudentCell cell;
    cell.options.config = trial.config();
    cell.options.num_classes = dataset_.num_classes;
    cell.options.checkpoint_dir = CheckpointDir(trial.trial_id());
    cell.options.engine = EngineOf(trial.config());
    cell.options.device = options_.device;
    cell.options.stepped = [this] { options_.watchdog->Step(); };
    cell.logits = *logits;
    cell.progress = tasks[task].progress;
    cells.push_back(std::move(cell));
    trained.push_back(task);
  }
  const auto latency_rows = LatencyRows(data);
  const Watchdog::Training training(options_.watchdog);
  const auto ended = [&](size_t cell, absl::StatusOr<TrainOutcome> outcome) {
    // The calls to the coordinator may last as long as it is away.
    const Watchdog::Pause pause(options_.watchdog);
    absl::Status status = outcome.status();
    if (status.ok()) {
      status = MeasureStudent(tasks[trained[cell]].trial, latency_rows,  //
                              &*outcome);
    }
    if (status.ok()) {
      status = Export(tasks[trained[cell]].trial, vocab.bytes(), &*outcome);
    }
    if (!status.ok()) return done(trained[cell], status);
    done(trained[cell], std::move(outcome->result));
  };
  return TrainStudents(cells, data, options_.threads, ended);
}

absl::Status TrialRunner::MeasureStudent(
    const v1::LeasedTrial& trial, const std::vector<std::vector<int32_t>>& rows,
    TrainOutcome* outcome) const {
  if (rows.empty()) return absl::OkStatus();
  KODISTIL_ASSIGN_OR_RETURN(
      *outcome->result.mutable_latency(),
      MeasureLatency(ShapeOf(trial.config(), dataset_.num_classes),
                     outcome->weights, rows));
  return absl::OkStatus();
}

absl::Status TrialRunner::Export(const v1::LeasedTrial& trial,
                                 absl::string_view vocab,
                                 TrainOutcome* outcome) const {
  v1::TrialResult& result = outcome->result;
  StudentFolder student;
  student.shape = ShapeOf(trial.config(), dataset_.num_classes);
  student.weights = std::move(outcome->weights);
  student.vocab = std::string(vocab);
  student.tokenizer = TokenizerOf(trial.inputs());
  student.max_length = trial.config().max_length();
  StudentOrigin origin;
  origin.trial_id = trial.trial_id();
  origin.config = trial.config();
  origin.inputs = trial.inputs();
  origin.result = result;
  origin.build = options_.build;
  EngineOptions engine;
  engine.engine = EngineOf(trial.config());
  engine.device = options_.device;
  origin.engine = engine.Resolved();
  origin.rows = dataset_.rows;
  student.provenance_json = ProvenanceJson(origin);

  const std::string folder =
      JoinPath(options_.cache_dir,
               absl::StrCat("students/", trial.trial_id(), ".", getpid()));
  const auto remove = absl::MakeCleanup([&folder] {
    const absl::Status removed = RemoveAll(folder);
    if (!removed.ok()) LOG(WARNING) << removed;
  });
  KODISTIL_RETURN_IF_ERROR(SaveStudent(student, folder));
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(folder, kPredictionsFile),
                          SerializePredictions(outcome->predictions)));
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(folder));
  for (const std::string& name : names) {
    KODISTIL_ASSIGN_OR_RETURN((*result.mutable_files())[name],
                              artifacts_.PutFile(JoinPath(folder, name)));
  }
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile weights,
                            MappedFile::Open(JoinPath(folder, kWeightsFile)));
  result.set_bytes(weights.bytes().size());
  return absl::OkStatus();
}

}  // namespace kodistil
