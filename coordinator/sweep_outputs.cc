#include "coordinator/sweep_outputs.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "coordinator/model_card.h"
#include "coordinator/report.h"
#include "corpus/predictions.h"

namespace kodistil {
namespace {

constexpr char kCardFile[] = "README.md";

}  // namespace

using v1::Trial;

SweepOutputs::SweepOutputs(const std::string& work_dir,
                           const ArtifactStore* artifacts)
    : work_dir_(work_dir),
      artifacts_(*artifacts),
      tensorboard_(JoinPath(work_dir, "tensorboard")) {}

absl::Status SweepOutputs::Begin(const std::vector<Trial>& trials) {
  return tensorboard_.WriteExperiment(trials, absl::Now());
}

void SweepOutputs::Note(const std::vector<Trial>& changed) {
  const absl::Status written = tensorboard_.Update(changed, absl::Now());
  LOG_IF_EVERY_N(WARNING, !written.ok(), 100) << written;
}

absl::StatusOr<std::shared_ptr<const PredictionBits>>
SweepOutputs::ReadPredictions(const std::string& digest) const {
  absl::MutexLock lock(&mutex_);
  const auto known = predictions_.find(digest);
  if (known != predictions_.end()) return known->second;
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, artifacts_.Get(digest));
  KODISTIL_ASSIGN_OR_RETURN(
      const Predictions predictions,
      ParsePredictions(file.bytes(), absl::StrCat("artifact ", digest)));
  return predictions_[digest] =
             std::make_shared<const PredictionBits>(predictions);
}

void SweepOutputs::AddPredictions(SweepResults* results) const {
  for (const Trial& trial : results->trials) {
    const auto file = trial.result().files().find(kPredictionsFile);
    if (file == trial.result().files().end()) continue;
    auto predictions = ReadPredictions(file->second);
    if (predictions.ok()) {
      results->predictions[trial.trial_id()] = *std::move(predictions);
    } else {
      LOG(WARNING) << "trial " << trial.trial_id()
                   << " is not compared: " << predictions.status();
    }
  }
}

absl::Status SweepOutputs::SaveStudent(const Trial& trial,
                                       const SweepResults& results,
                                       const Twins& twins) const {
  const std::string folder =
      JoinPath(work_dir_, absl::StrCat("students/", TrialFolder(trial)));
  for (const auto& [name, digest] : trial.result().files()) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string path,
                              PathUnder(folder, "student's file", name));
    // The card, which earlier versions' workers sent, is the coordinator's.
    if (name == kCardFile || FileExists(path)) continue;
    KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, artifacts_.Get(digest));
    KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(path, file.bytes()));
  }
  const std::string path = JoinPath(folder, kCardFile);
  const std::string card = ModelCard(trial, results, twins);
  const absl::StatusOr<std::string> before = ReadFile(path);
  if (before.ok() && *before == card) return absl::OkStatus();
  return WriteFileAtomically(path, card);
}

absl::Status SweepOutputs::Save(const SweepResults& results) {
  const Twins twins(results.trials);
  for (const Trial& trial : results.trials) {
    if (trial.state() != Trial::STATE_DONE) continue;
    KODISTIL_RETURN_IF_ERROR(SaveStudent(trial, results, twins));
  }
  KODISTIL_RETURN_IF_ERROR(WriteResults(results, work_dir_));
  KODISTIL_RETURN_IF_ERROR(WriteReport(results, work_dir_));
  return tensorboard_.Update(results.trials, absl::Now());
}

}  // namespace kodistil
