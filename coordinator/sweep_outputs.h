// What a sweep leaves in its work folder: students/, results.json, .csv and
// .md, report.html, and tensorboard/.

#ifndef KODISTIL_COORDINATOR_SWEEP_OUTPUTS_H_
#define KODISTIL_COORDINATOR_SWEEP_OUTPUTS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "artifacts/artifact_store.h"
#include "coordinator/paired_test.h"
#include "coordinator/results.h"
#include "coordinator/tensorboard_writer.h"
#include "coordinator/twins.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// One thread for Begin, Note and Save; AddPredictions is thread-safe. Borrows
// the artifacts.
class SweepOutputs {
 public:
  SweepOutputs(const std::string& work_dir, const ArtifactStore* artifacts);

  // Before the training of these trials.
  absl::Status Begin(const std::vector<v1::Trial>& trials);

  // While they are trained: writes what is new about trials that have changed.
  // What cannot be written is logged; Save tries it again.
  void Note(const std::vector<v1::Trial>& changed);

  // Reads the predictions that trials kept. Those of a trial whose file is
  // damaged are missing, which is logged.
  void AddPredictions(SweepResults* results) const;

  // Once training has ended or was stopped. Errors name the file.
  absl::Status Save(const SweepResults& results);

 private:
  absl::Status SaveStudent(const v1::Trial& trial, const SweepResults& results,
                           const Twins& twins) const;
  absl::StatusOr<std::shared_ptr<const PredictionBits>> ReadPredictions(
      const std::string& digest) const;

  const std::string work_dir_;
  const ArtifactStore& artifacts_;
  TensorboardWriter tensorboard_;
  mutable absl::Mutex mutex_;
  // By digest: a page that is live asks again and again.
  mutable std::map<std::string, std::shared_ptr<const PredictionBits>>
      predictions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_OUTPUTS_H_
