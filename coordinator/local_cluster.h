// The processes of a sweep on this machine: logit store, teachers, workers.
// Real processes over real gRPC on loopback, watched and restarted.

#ifndef KODISTIL_COORDINATOR_LOCAL_CLUSTER_H_
#define KODISTIL_COORDINATOR_LOCAL_CLUSTER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/cluster.h"
#include "coordinator/part_args.h"
#include "coordinator/process.h"

namespace kodistil {

class LocalCluster final : public Cluster {
 public:
  explicit LocalCluster(ClusterOptions options);
  ~LocalCluster() override;

  // Starts the store on work_dir/logit_store; returns its address.
  absl::StatusOr<std::string> StartStore();

  // Runs a program of the project to its end, its output in a log;
  // INTERNAL with the log's tail when it fails, CANCELLED once `stopped` says
  // so.
  absl::Status Run(const std::string& name, const std::string& binary,
                   const std::vector<std::string>& args,
                   const std::function<bool()>& stopped);

  LocalCluster& here() override { return *this; }
  bool TeachersRegister() const override { return false; }
  absl::StatusOr<std::vector<std::string>> StartTeachers(
      const TeacherSource& teacher, const std::string& store_address,
      int count) override;
  // They are called "local/0", "local/1", ...
  absl::Status StartWorkers(int count) override;
  absl::Status Supervise(const Died& died) override;
  std::string LogTailOf(const std::string& name) const override;
  void Kill(const std::string& name) override;
  void StopTeachers() override;
  void StopAll() override;

  // "local/": the names of this cluster's workers begin so.
  static const char kWorkerPrefix[];

 private:
  enum class Kind { kStore, kTeacher, kWorker };
  struct Member {
    Kind kind;
    ProcessOptions process_options;
    bool server = false;
    int port = 0;
    std::unique_ptr<Process> process;
    int quick_deaths = 0;
    absl::Time restart_at = absl::InfinitePast();
  };

  absl::StatusOr<ProcessOptions> Options(const std::string& name,
                                         const std::string& binary) const;
  std::string PortFile(const Member& member) const;
  absl::Status Launch(Member* member);
  absl::Status WaitForPort(Member* member);
  absl::StatusOr<int> StartServer(Member member);
  // Of the store's last start in this folder; 0 when not to be kept.
  int KeptStorePort() const;
  void Stop(Kind kind);

  const ClusterOptions options_;
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LOCAL_CLUSTER_H_
