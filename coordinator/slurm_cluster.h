// The teachers and workers of a sweep as Slurm jobs.

#ifndef KODISTIL_COORDINATOR_SLURM_CLUSTER_H_
#define KODISTIL_COORDINATOR_SLURM_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/cluster.h"
#include "coordinator/local_cluster.h"
#include "coordinator/slurm_commands.h"
#include "coordinator/slurm_script.h"
#include "kodistil/v1/status.pb.h"

namespace kodistil {

struct SlurmClusterOptions {
  ClusterOptions cluster;
  SlurmOptions slurm;
  // How often squeue is asked.
  absl::Duration poll = absl::Seconds(5);
  // How long cancelled jobs may take to end.
  absl::Duration stop_limit = absl::Seconds(15);
  // Told how the jobs stand when that has changed.
  std::function<void(const std::vector<v1::JobStatus>&)> changed =
      [](const std::vector<v1::JobStatus>&) {};
};

// One job array of workers, and one of teachers at a time. Placing, starting
// and queueing again is Slurm's; tasks that Slurm has given up are submitted
// again. What is submitted stands in work_dir/slurm, where a coordinator that
// died finds its jobs when it is started again. Not thread-safe.
class SlurmCluster final : public Cluster {
 public:
  // NOT_FOUND when Slurm is not installed.
  static absl::StatusOr<std::unique_ptr<SlurmCluster>> Create(
      const SlurmClusterOptions& options);
  ~SlurmCluster() override;

  LocalCluster& here() override { return here_; }
  bool TeachersRegister() const override { return true; }
  absl::StatusOr<std::vector<std::string>> StartTeachers(
      const TeacherSource& teacher, const std::string& store_address,
      int count) override;
  absl::Status StartWorkers(int count) override;
  // Also ABORTED when somebody has cancelled all tasks of an array.
  absl::Status Supervise(const Died& died) override;
  std::string LogTailOf(const std::string& name) const override;
  // Slurm ends what hangs or has lost its node.
  void Kill(const std::string&) override {}
  void StopTeachers() override;
  void StopAll() override;

 private:
  struct Task {
    int index = 0;
    std::string job;
    std::string state;   // as squeue showed it last; empty before
    std::string reason;  // why it waits
    bool lost = false;   // to be submitted again
    bool over = false;   // never to be
    int ends = 0;        // lost without a trial to blame
  };
  struct Group {
    std::string what;
    std::vector<Task> tasks;
    int resubmitted = 0;
  };

  explicit SlurmCluster(const SlurmClusterOptions& options,
                        std::unique_ptr<SlurmCommands> commands);
  absl::Status Start(const SlurmScript& script);
  // Takes over the jobs of an earlier coordinator when they run the same
  // script, else cancels them.
  absl::StatusOr<bool> Adopt(const SlurmScript& script, Group* group);
  absl::Status Look(const std::vector<SlurmTask>& found, const Died& died);
  absl::Status LookAt(const Group& group, const SlurmTask& found,
                      const Died& died, Task* task);
  absl::Status CheckSomeLeft(const Group& group) const;
  void Resubmit(Group* group, const std::vector<Task*>& lost);
  void Tell();
  // Those of `what`, or of all when it is empty; `earlier`: of the coordinator
  // before, too.
  std::vector<std::string> Jobs(absl::string_view what, bool earlier) const;
  void Cancel(const std::vector<std::string>& jobs);
  void WaitUntilOver(const std::vector<std::string>& jobs);
  void Drop(const std::string& what);
  std::string TailOf(const Group& group, const Task& task) const;

  std::string JobsPath() const;
  // work_dir/slurm/jobs: "workers 17 0", a line for each task.
  absl::Status Save() const;
  void Load();

  const SlurmClusterOptions options_;
  LocalCluster here_;
  const std::unique_ptr<SlurmCommands> commands_;
  std::map<std::string, Group> groups_;
  // Of an earlier coordinator, not taken over yet.
  std::map<std::string, Group> earlier_;
  absl::Time next_look_ = absl::InfinitePast();
  std::string told_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SLURM_CLUSTER_H_
