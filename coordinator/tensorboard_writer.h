// Writes what a sweep's trials go through as a log directory of TensorBoard.

#ifndef KODISTIL_COORDINATOR_TENSORBOARD_WRITER_H_
#define KODISTIL_COORDINATOR_TENSORBOARD_WRITER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "kodistil/v1/coordinator.pb.h"
#include "kodistil/v1/tensorboard.pb.h"

namespace kodistil {

// The folder of a trial in the log directory, and among the students.
std::string TrialFolder(const v1::Trial& trial);

// One for each log directory and process. A trial's folder gets a file of its
// own from each writer that has something new to say about it: what earlier
// ones wrote is read first, so that an epoch is written once, whatever was
// killed; one that nobody reported, and what follows it, is written once the
// trial's result has it. Where a trial contradicts what was written of its end
// (it had failed and is tried again) the folder's files are replaced. Not
// thread-safe.
class TensorboardWriter {
 public:
  explicit TensorboardWriter(std::string log_dir)
      : log_dir_(std::move(log_dir)) {}

  // Says which hyperparameters the sweep has; writes nothing when the directory
  // says so already.
  absl::Status WriteExperiment(const std::vector<v1::Trial>& trials,
                               absl::Time now);

  // Writes what is new about each trial. All are tried; the first error, which
  // names the path, is returned. Once it has succeeded, the same call writes
  // nothing.
  absl::Status Update(const std::vector<v1::Trial>& trials, absl::Time now);

 private:
  // What the files of a trial say.
  struct Run {
    bool started = false;
    int end = 0;  // a TensorboardSessionEnd.Status
    // step -> tag -> value; rows a second are not kept: they differ each time.
    std::map<int64_t, std::map<std::string, float>> values;
    std::string path;  // of this writer's file, once it has begun
  };

  absl::Status UpdateTrial(const v1::Trial& trial, absl::Time now);
  absl::Status Append(const std::string& folder, std::string records,
                      absl::Time now, std::string* path);
  absl::StatusOr<Run> Load(const std::string& folder) const;
  static void Note(const v1::TensorboardEvent& event, Run* run);
  // Whether the run has the event's values already.
  static bool Has(const Run& run, const v1::TensorboardEvent& event);
  static bool HasEpoch(const Run& run, int64_t epoch);
  // The records that are missing of the trial; noted as the run's.
  static std::string Missing(const v1::Trial& trial, absl::Time now, Run* run);

  const std::string log_dir_;
  std::map<std::string, Run> runs_;  // by folder; those that were looked at
  int files_ = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TENSORBOARD_WRITER_H_
