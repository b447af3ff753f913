#include "student_trainer/trial_runner.h"

#include <glog/logging.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/token_cache.h"
#include "logit_store/snapshot.h"
#include "student_trainer/engine_factory.h"
#include "student_trainer/student.h"
#include "student_trainer/student_card.h"
#include "student_trainer/trainer.h"

namespace kodistil {
namespace {

constexpr char kWeightsFile[] = "model.safetensors";

WordPieceOptions TokenizerOf(const v1::TrialInputs& inputs) {
  WordPieceOptions options;
  options.lower_case = inputs.lower_case();
  options.strip_accents = inputs.strip_accents();
  return options;
}

// The teacher's logits; null for "ce", which has none.
absl::StatusOr<std::unique_ptr<LogitSnapshot>> OpenLogits(
    const std::string& cache_dir, const v1::LeaseTrialResponse& lease,
    const Dataset& dataset) {
  if (lease.config().loss_option() == "ce") {
    return std::unique_ptr<LogitSnapshot>();
  }
  SnapshotSource source;
  source.address = lease.inputs().logit_store();
  source.teacher_fingerprint = lease.config().teacher();
  source.dataset = lease.inputs().dataset();
  source.dataset_fingerprint = lease.inputs().dataset_fingerprint();
  KODISTIL_ASSIGN_OR_RETURN(LogitSnapshot snapshot,
                            LogitSnapshot::OpenOrFetch(cache_dir, source));
  if (snapshot.row_count() != dataset.rows.size() ||
      snapshot.num_classes() != static_cast<uint32_t>(dataset.num_classes)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "logits of dataset ", source.dataset, ": ", snapshot.row_count(),
        " rows of ", snapshot.num_classes(), " classes, but the dataset has ",
        dataset.rows.size(), " rows of ", dataset.num_classes));
  }
  return std::make_unique<LogitSnapshot>(std::move(snapshot));
}

// The id becomes the name of a folder, which is removed in the end.
absl::Status CheckTrialId(const std::string& id) {
  bool valid = !id.empty() && id.size() <= 200;
  for (const char c : id) {
    valid = valid && (absl::ascii_isalnum(c) || c == '-' || c == '_');
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "trial id '", absl::CHexEscape(id.substr(0, 200)),
      "' cannot name a folder: expected letters, digits, - and _"));
}

}  // namespace

TrialRunner::TrialRunner(const TrialRunnerOptions& options,
                         const ArtifactClient* artifacts)
    : options_(options), artifacts_(*artifacts) {}

std::string TrialRunner::CheckpointDir(const std::string& trial_id) const {
  return JoinPath(JoinPath(options_.cache_dir, "checkpoints"), trial_id);
}

absl::Status TrialRunner::DropCheckpoint(const std::string& trial_id) const {
  KODISTIL_RETURN_IF_ERROR(CheckTrialId(trial_id));
  return RemoveAll(CheckpointDir(trial_id));
}

absl::StatusOr<v1::TrialResult> TrialRunner::Run(
    const v1::LeaseTrialResponse& lease, const ProgressCallback& progress) {
  KODISTIL_RETURN_IF_ERROR(CheckTrialId(lease.trial_id()));
  KODISTIL_RETURN_IF_ERROR(LoadDataset(lease.inputs()));
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile vocab,
                            artifacts_.Get(lease.inputs().vocab_digest()));
  KODISTIL_ASSIGN_OR_RETURN(TrainOutcome outcome,
                            Train(lease, vocab.bytes(), progress));
  KODISTIL_RETURN_IF_ERROR(Export(lease, vocab.bytes(), &outcome));
  return std::move(outcome.result);
}

absl::Status TrialRunner::LoadDataset(const v1::TrialInputs& inputs) {
  if (inputs.dataset_digest() != dataset_digest_) {
    KODISTIL_ASSIGN_OR_RETURN(const MappedFile file,
                              artifacts_.Get(inputs.dataset_digest()));
    KODISTIL_ASSIGN_OR_RETURN(
        dataset_,
        ParseDataset(file.bytes(),
                     absl::StrCat("artifact ", inputs.dataset_digest())));
    dataset_digest_ = inputs.dataset_digest();
  }
  const std::string fingerprint = dataset_.Fingerprint();
  if (fingerprint != inputs.dataset_fingerprint()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "dataset ", inputs.dataset(), " has fingerprint ", fingerprint,
        ", but the trial is for ", inputs.dataset_fingerprint()));
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainOutcome> TrialRunner::Train(
    const v1::LeaseTrialResponse& lease, absl::string_view vocab,
    const ProgressCallback& progress) {
  KODISTIL_ASSIGN_OR_RETURN(
      const TokenizedDataset data,
      TokenizedDataset::OpenOrCreate(options_.cache_dir, dataset_, vocab,
                                     TokenizerOf(lease.inputs()),
                                     lease.config().max_length()));
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<LogitSnapshot> logits,
                            OpenLogits(options_.cache_dir, lease, dataset_));
  TrainOptions options;
  options.config = lease.config();
  options.num_classes = dataset_.num_classes;
  options.checkpoint_dir = CheckpointDir(lease.trial_id());
  options.engine = options_.engine;
  options.device = options_.device;
  options.threads = options_.threads;
  return TrainStudent(options, data, logits.get(), progress);
}

absl::Status TrialRunner::Export(const v1::LeaseTrialResponse& lease,
                                 absl::string_view vocab,
                                 TrainOutcome* outcome) const {
  v1::TrialResult& result = outcome->result;
  StudentFolder student;
  student.shape = ShapeOf(lease.config(), dataset_.num_classes);
  student.weights = std::move(outcome->weights);
  student.vocab = std::string(vocab);
  student.tokenizer = TokenizerOf(lease.inputs());
  student.max_length = lease.config().max_length();
  StudentOrigin origin;
  origin.trial_id = lease.trial_id();
  origin.config = lease.config();
  origin.inputs = lease.inputs();
  origin.result = result;
  origin.build = options_.build;
  EngineOptions engine;
  engine.engine = options_.engine;
  engine.device = options_.device;
  origin.engine = engine.Resolved();
  origin.rows = dataset_.rows.size();
  student.provenance_json = ProvenanceJson(origin);
  student.model_card = ModelCard(origin);

  const std::string folder =
      JoinPath(options_.cache_dir,
               absl::StrCat("students/", lease.trial_id(), ".", getpid()));
  const auto remove = absl::MakeCleanup([&folder] {
    const absl::Status removed = RemoveAll(folder);
    if (!removed.ok()) LOG(WARNING) << removed;
  });
  KODISTIL_RETURN_IF_ERROR(SaveStudent(student, folder));
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
