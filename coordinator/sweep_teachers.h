// All teachers of a sweep: those that label, and weighted means of them.

#ifndef KODISTIL_COORDINATOR_SWEEP_TEACHERS_H_
#define KODISTIL_COORDINATOR_SWEEP_TEACHERS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/results.h"
#include "coordinator/teacher_axis.h"
#include "coordinator/teacher_record.h"
#include "coordinator/teacher_registry.h"
#include "coordinator/teacher_stage.h"

namespace kodistil {

// Not thread-safe; what the context borrows must outlive it.
class SweepTeachers {
 public:
  explicit SweepTeachers(TeacherStage::Context context)
      : context_(std::move(context)) {}

  // Finds out what each value of the axis is, and tells the registry whom the
  // sweep wants. FAILED_PRECONDITION when the members of a mean differ in their
  // classes; else as TeacherStage::Prepare.
  absl::Status Prepare(TeacherRegistry* registry);

  // The axis for ExpandGrid.
  std::vector<std::string> Values() const;

  // Labels with each teacher whose rows are not all known to be labelled, or
  // that is `wanted`, then counts how often the means are right.
  absl::Status Label(
      const std::function<bool(const std::string& fingerprint)>& wanted);

  // For the table: teachers, then means.
  std::vector<TeacherResult> Results() const;

 private:
  struct Mean {
    TeacherValue value;
    TeacherRecord record;
  };

  absl::Status PrepareMean(const TeacherValue& value);
  absl::Status CountMean(Mean* mean);
  std::string RecordPath(const Mean& mean) const;
  TeacherMix MixOf(const TeacherValue& value) const;
  std::vector<std::string> Fingerprints() const;

  const TeacherStage::Context context_;
  TeacherAxis axis_;
  std::vector<std::unique_ptr<TeacherStage>> stages_;  // of axis_.sources
  std::vector<Mean> means_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_TEACHERS_H_
