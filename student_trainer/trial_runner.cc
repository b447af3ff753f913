#include "student_trainer/trial_runner.h"

#include <glog/logging.h>
#include <malloc.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "logit_store/snapshot.h"
#include "student_trainer/engine_factory.h"
#include "student_trainer/student.h"
#include "student_trainer/student_card.h"
#include "student_trainer/trainer.h"

namespace kodistil {
namespace {

std::string EngineOf(const v1::StudentConfig& config) {
  return config.engine().empty() ? EngineOptions().engine : config.engine();
}

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
    uint32_t rows, int num_classes) {
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
  if (snapshot.row_count() != rows ||
      snapshot.num_classes() != static_cast<uint32_t>(num_classes)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "logits of dataset ", source.dataset, ": ", snapshot.row_count(),
        " rows of ", snapshot.num_classes(), " classes, but the dataset has ",
        rows, " rows of ", num_classes));
  }
  return std::make_unique<LogitSnapshot>(std::move(snapshot));
}

// What many small strings have left behind.
void GiveMemoryBack() {
#ifdef __GLIBC__
  malloc_trim(/*pad=*/0);
#endif
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
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile vocab,
                            artifacts_.Get(lease.inputs().vocab_digest()));
  KODISTIL_ASSIGN_OR_RETURN(TrainOutcome outcome,
                            Train(lease, vocab.bytes(), progress));
  KODISTIL_RETURN_IF_ERROR(Export(lease, vocab.bytes(), &outcome));
  return std::move(outcome.result);
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
    const v1::LeaseTrialResponse& lease, absl::string_view vocab) {
  const v1::TrialInputs& inputs = lease.inputs();
  const WordPieceOptions tokenizer = TokenizerOf(inputs);
  const int max_length = lease.config().max_length();
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

absl::StatusOr<TrainOutcome> TrialRunner::Train(
    const v1::LeaseTrialResponse& lease, absl::string_view vocab,
    const ProgressCallback& progress) {
  KODISTIL_ASSIGN_OR_RETURN(const TokenizedDataset data,
                            OpenTokens(lease, vocab));
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<LogitSnapshot> logits,
                            OpenLogits(options_.cache_dir, lease,
                                       data.row_count(), dataset_.num_classes));
  TrainOptions options;
  options.config = lease.config();
  options.num_classes = dataset_.num_classes;
  options.checkpoint_dir = CheckpointDir(lease.trial_id());
  options.engine = EngineOf(lease.config());
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
  engine.engine = EngineOf(lease.config());
  engine.device = options_.device;
  origin.engine = engine.Resolved();
  origin.rows = dataset_.rows;
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
