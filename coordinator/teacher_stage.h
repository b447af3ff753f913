// The first half of a sweep: gets a teacher, and has it label what the store
// misses.

#ifndef KODISTIL_COORDINATOR_TEACHER_STAGE_H_
#define KODISTIL_COORDINATOR_TEACHER_STAGE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "artifacts/artifact_store.h"
#include "coordinator/cluster.h"
#include "coordinator/paired_test.h"
#include "coordinator/status_board.h"
#include "coordinator/sweep.h"
#include "coordinator/teacher_record.h"
#include "coordinator/teacher_registry.h"
#include "corpus/dataset.h"
#include "corpus/predictions.h"
#include "kodistil/v1/logit_store.pb.h"
#include "kodistil/v1/teacher.pb.h"

namespace kodistil {

// One value of the teacher axis. Not thread-safe; what it borrows must outlive
// it.
class TeacherStage {
 public:
  struct Context {
    const SweepOptions* options = nullptr;
    const Dataset* dataset = nullptr;
    std::string dataset_digest;  // of the canonical file, an artefact
    const ArtifactStore* artifacts = nullptr;
    Cluster* cluster = nullptr;
    const TeacherRegistry* registry = nullptr;
    std::string address;           // where teachers register
    StatusBoard* board = nullptr;  // for people
    std::function<bool()> stopped;
    // Address of the logit store, started when it is asked for.
    std::function<absl::StatusOr<std::string>()> store;
  };

  // `teacher`: "ngram", a model's folder, or empty for
  // context.options->teachers. Registered servers of the same model help.
  TeacherStage(Context context, std::string teacher);

  // Trains the embedded teacher where there is none yet, and finds out the
  // teacher's fingerprint: from the record of an earlier run when its folder
  // has not changed since, else by asking a server of it.
  absl::Status Prepare();

  // Registers the dataset and labels what is missing, then counts the teacher's
  // accuracy. Says on stderr what it does.
  absl::Status Label();

  // Whether the record says that every row of this dataset is labelled.
  bool Labelled() const;
  const TeacherRecord& record() const { return record_; }
  // What its servers load; not of one that runs elsewhere.
  TeacherSource Source() const;
  // Of the test rows counted last; NOT_FOUND when an earlier version counted
  // them, or nobody did yet.
  absl::StatusOr<Predictions> ReadPredictions() const;
  // The same for TeacherResult: null where there are none.
  std::shared_ptr<const PredictionBits> SharedPredictions() const;

 private:
  bool Remote() const { return teacher_.empty(); }
  // Whether the user leaves it to servers to register.
  bool AnyRegistered() const;
  absl::Status TrainEmbedded();
  // Those that we started, or those that the user named; none that register.
  absl::StatusOr<std::vector<std::string>> Servers();
  // Whether no server is ours to name: they come when they come.
  bool ServersRegister() const;
  // One of this machine, in place of servers that may come much later.
  absl::StatusOr<std::vector<std::string>> StartToDescribe();
  absl::StatusOr<std::vector<std::string>> ServersToAsk();
  absl::Status Describe();
  absl::Status AskAnyServer(v1::DescribeModelResponse* model);
  // Whether most texts differ from those that were labelled last.
  bool OtherTexts() const;
  // Restarts what died, then lets the caller try again.
  void KeepAlive();
  absl::Status RegisterDataset(const std::string& store_address);
  absl::Status LabelMissing(const std::string& store_address);
  // Gives the rows to the teachers, and tells what each has done.
  absl::Status Hand(const std::vector<v1::IndexRange>& missing, int64_t total);
  absl::Status SaveRecord() const;
  std::string RecordPath() const;
  std::string PredictionsPath() const;

  const Context context_;
  const std::string teacher_;
  std::string folder_;
  TeacherRecord record_;
  std::vector<std::string> servers_;
  bool started_ = false;  // servers of ours that label
  bool waiting_ = false;  // said so
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TEACHER_STAGE_H_
