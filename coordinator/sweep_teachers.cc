#include "coordinator/sweep_teachers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "coordinator/store_access.h"

namespace kodistil {
namespace {

TeacherResult ResultOf(const TeacherRecord& record) {
  TeacherResult result;
  result.name = record.name;
  result.fingerprint = record.fingerprint;
  result.parameters = record.parameters;
  result.correct = record.correct;
  result.total = record.total;
  result.rows_labelled = record.rows_labelled;
  result.seconds = record.train_seconds + record.label_seconds;
  return result;
}

}  // namespace

std::vector<std::string> SweepTeachers::Fingerprints() const {
  std::vector<std::string> fingerprints;
  for (const auto& stage : stages_) {
    fingerprints.push_back(stage->record().fingerprint);
  }
  return fingerprints;
}

TeacherMix SweepTeachers::MixOf(const TeacherValue& value) const {
  // In the one order and with the weights that trainers use.
  return *ParseTeacherMix(TeacherOf(value, Fingerprints()));
}

absl::Status SweepTeachers::Prepare(TeacherRegistry* registry) {
  if (context_.options->teachers.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(axis_,
                              MakeTeacherAxis(context_.options->teacher_path,
                                              context_.options->teacher));
  } else {
    KODISTIL_ASSIGN_OR_RETURN(axis_, MakeTeacherAxis({""}, {}));
  }
  std::vector<TeacherRegistry::Wanted> wanted;
  for (const std::string& source : axis_.sources) {
    stages_.push_back(std::make_unique<TeacherStage>(context_, source));
    KODISTIL_RETURN_IF_ERROR(stages_.back()->Prepare());
    const TeacherRecord& record = stages_.back()->record();
    wanted.push_back({record.fingerprint, record.name});
  }
  for (const TeacherValue& value : axis_.values) {
    if (value.members.size() > 1) {
      KODISTIL_RETURN_IF_ERROR(PrepareMean(value));
    }
  }
  registry->Want(std::move(wanted));
  return absl::OkStatus();
}

absl::Status SweepTeachers::PrepareMean(const TeacherValue& value) {
  const TeacherRecord& first = stages_[value.members[0].source]->record();
  TeacherRecord record;
  record.name = value.name;
  record.fingerprint = TeacherOf(value, Fingerprints());
  record.num_classes = first.num_classes;
  for (const TeacherValue::Member& member : value.members) {
    const TeacherRecord& other = stages_[member.source]->record();
    record.parameters += other.parameters;
    if (other.num_classes == first.num_classes) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("--teacher=", value.name, ": ", first.name, " has ",
                     first.num_classes, " classes, ", other.name, " has ",
                     other.num_classes, ", expected as many"));
  }
  Mean mean = {value, record};
  const auto known = LoadTeacherRecord(RecordPath(mean));
  // One of a newer program is not ours to replace.
  if (absl::IsFailedPrecondition(known.status())) return known.status();
  if (known.ok()) {
    mean.record = *known;
    mean.record.name = value.name;
  }
  means_.push_back(std::move(mean));
  return absl::OkStatus();
}

std::string SweepTeachers::RecordPath(const Mean& mean) const {
  return JoinPath(
      context_.options->work_dir,
      absl::StrCat("teachers/",
                   Sha256Hex(absl::StrCat(TeacherOf(mean.value, Fingerprints()),
                                          "\n", context_.dataset->name))
                       .substr(0, 16),
                   ".json"));
}

std::vector<std::string> SweepTeachers::Values() const {
  std::vector<std::string> values;
  for (const TeacherValue& value : axis_.values) {
    values.push_back(TeacherOf(value, Fingerprints()));
  }
  return values;
}

absl::Status SweepTeachers::Label(
    const std::function<bool(const std::string& fingerprint)>& wanted) {
  for (const auto& stage : stages_) {
    if (!stage->Labelled() || wanted(stage->record().fingerprint)) {
      KODISTIL_RETURN_IF_ERROR(stage->Label());
    }
  }
  for (Mean& mean : means_) KODISTIL_RETURN_IF_ERROR(CountMean(&mean));
  return absl::OkStatus();
}

absl::Status SweepTeachers::CountMean(Mean* mean) {
  const Dataset& dataset = *context_.dataset;
  TeacherRecord& record = mean->record;
  const std::string fingerprint = dataset.Fingerprint();
  if (record.dataset_fingerprint == fingerprint) return absl::OkStatus();
  KODISTIL_ASSIGN_OR_RETURN(const std::string store, context_.store());
  KODISTIL_ASSIGN_OR_RETURN(
      const StoreAccess::Count count,
      StoreAccess(store, context_.options->access)
          .CountCorrectOfMean(MixOf(mean->value), dataset));
  record.correct = count.correct;
  record.total = count.total;
  record.dataset_fingerprint = fingerprint;
  record.rows_labelled = dataset.rows.size();
  if (count.total > 0) {
    SayLine(absl::StrFormat(
        "teacher: the mean %s has %d of %d test rows right (%.2f %%)",
        record.name, count.correct, count.total,
        100.0 * count.correct / count.total));
  }
  return SaveTeacherRecord(record, RecordPath(*mean));
}

std::vector<TeacherResult> SweepTeachers::Results() const {
  std::vector<TeacherResult> results;
  for (const auto& stage : stages_) {
    results.push_back(ResultOf(stage->record()));
    results.back().predictions = stage->SharedPredictions();
  }
  for (const Mean& mean : means_) {
    TeacherResult result = ResultOf(mean.record);
    result.members = MixOf(mean.value);
    for (const TeacherValue::Member& member : mean.value.members) {
      result.seconds += results[member.source].seconds;
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace kodistil
