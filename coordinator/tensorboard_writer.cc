#include "coordinator/tensorboard_writer.h"

#include <utility>

#include "base/files.h"
#include "base/status_macros.h"
#include "coordinator/event_file.h"
#include "coordinator/tensorboard_events.h"

namespace kodistil {
namespace {

using v1::TensorboardEvent;
using v1::Trial;

constexpr size_t kShortId = 12;

bool Ended(const Trial& trial) {
  return trial.state() == Trial::STATE_DONE ||
         trial.state() == Trial::STATE_FAILED ||
         trial.state() == Trial::STATE_CANCELLED;
}

absl::Status RemoveEventFiles(const std::string& folder) {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                            EventFilesOf(folder));
  for (const std::string& path : paths) {
    KODISTIL_RETURN_IF_ERROR(RemoveAll(path));
  }
  return absl::OkStatus();
}

}  // namespace

std::string TrialFolder(const Trial& trial) {
  return trial.trial_id().substr(0, kShortId);
}

absl::Status TensorboardWriter::WriteExperiment(
    const std::vector<Trial>& trials, absl::Time now) {
  const TensorboardEvent wanted = ExperimentEvent(trials, now);
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                            EventFilesOf(log_dir_));
  if (paths.size() == 1) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(paths[0]));
    const EventFile file = ParseEvents(bytes);
    if (file.whole && file.events.size() == 2 &&
        HParamsOf(file.events[1]).SerializeAsString() ==
            HParamsOf(wanted).SerializeAsString()) {
      return absl::OkStatus();
    }
  }
  // Readers take the first experiment that they find.
  KODISTIL_RETURN_IF_ERROR(RemoveEventFiles(log_dir_));
  std::string path;
  return Append(log_dir_, FrameEvent(wanted), now, &path);
}

absl::Status TensorboardWriter::Append(const std::string& folder,
                                       std::string records, absl::Time now,
                                       std::string* path) {
  if (path->empty()) {
    KODISTIL_RETURN_IF_ERROR(MakeDirectories(folder));
    *path = JoinPath(folder, EventFileName(absl::ToUnixSeconds(now), ++files_));
    records.insert(0, FrameEvent(VersionEvent(now)));
  }
  return AppendRecords(*path, records);
}

void TensorboardWriter::Note(const TensorboardEvent& event, Run* run) {
  const v1::TensorboardHParams hparams = HParamsOf(event);
  run->started = run->started || hparams.has_session_start_info();
  if (hparams.has_session_end_info()) {
    run->end = hparams.session_end_info().status();
  }
  for (const auto& value : event.summary().value()) {
    if (value.value_case() != value.kSimpleValue) continue;
    // As readers do, for each tag.
    for (auto later = run->values.lower_bound(event.step());
         later != run->values.end(); ++later) {
      later->second.erase(value.tag());
    }
    if (value.tag() == kSpeedTag) continue;
    run->values[event.step()][value.tag()] = value.simple_value();
  }
}

bool TensorboardWriter::Has(const Run& run, const TensorboardEvent& event) {
  const auto step = run.values.find(event.step());
  if (step == run.values.end()) return false;
  for (const auto& value : event.summary().value()) {
    if (value.tag() == kSpeedTag) continue;
    const auto found = step->second.find(value.tag());
    if (found == step->second.end() || found->second != value.simple_value()) {
      return false;
    }
  }
  return true;
}

bool TensorboardWriter::HasEpoch(const Run& run, int64_t epoch) {
  const auto step = run.values.find(epoch);
  return step != run.values.end() && step->second.count(kLossTag) > 0;
}

absl::StatusOr<TensorboardWriter::Run> TensorboardWriter::Load(
    const std::string& folder) const {
  Run run;
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                            EventFilesOf(folder));
  for (const std::string& path : paths) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    for (const TensorboardEvent& event : ParseEvents(bytes).events) {
      Note(event, &run);
    }
  }
  return run;
}

std::string TensorboardWriter::Missing(const Trial& trial, absl::Time now,
                                       Run* run) {
  std::string records;
  const auto add = [&](const TensorboardEvent& event) {
    records += FrameEvent(event);
    Note(event, run);
  };
  const bool done = trial.state() == Trial::STATE_DONE;
  const auto& history = done ? trial.result().history() : trial.history();
  if (trial.state() == Trial::STATE_PENDING && history.empty()) return records;
  if (!run->started) add(StartEvent(trial, now));
  for (const v1::EpochReport& epoch : history) {
    const TensorboardEvent event = EpochEvent(trial.config(), epoch, now);
    if (Has(*run, event)) continue;
    // Of a worker that was killed before it could report it; the result will
    // have it. Written late it would drop what follows, which would then have
    // to be written again.
    if (epoch.epoch() > 1 && !HasEpoch(*run, epoch.epoch() - 1)) break;
    add(event);
  }
  if (done) {
    const TensorboardEvent event = TestEvent(trial.result(), now);
    if (!Has(*run, event)) add(event);
  }
  if (Ended(trial) && run->end == 0) add(EndEvent(trial, now));
  return records;
}

absl::Status TensorboardWriter::UpdateTrial(const Trial& trial,
                                            absl::Time now) {
  const std::string name = TrialFolder(trial);
  const std::string folder = JoinPath(log_dir_, name);
  auto found = runs_.find(name);
  if (found == runs_.end()) {
    KODISTIL_ASSIGN_OR_RETURN(Run loaded, Load(folder));
    found = runs_.emplace(name, std::move(loaded)).first;
  }
  Run& run = found->second;
  if (run.end != 0 && (!Ended(trial) || EndStatus(trial) != run.end)) {
    KODISTIL_RETURN_IF_ERROR(RemoveEventFiles(folder));
    run = Run();
  }
  const std::string records = Missing(trial, now, &run);
  if (records.empty()) return absl::OkStatus();
  const absl::Status status = Append(folder, records, now, &run.path);
  // What the file holds now is not known: the next try reads it, and goes on in
  // another one.
  if (!status.ok()) runs_.erase(found);
  return status;
}

absl::Status TensorboardWriter::Update(const std::vector<Trial>& trials,
                                       absl::Time now) {
  absl::Status first;
  for (const Trial& trial : trials) first.Update(UpdateTrial(trial, now));
  return first;
}

}  // namespace kodistil
