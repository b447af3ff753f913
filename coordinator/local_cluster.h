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
#include "base/access.h"
#include "coordinator/part_args.h"
#include "coordinator/process.h"

namespace kodistil {

struct LocalClusterOptions {
  std::string work_dir;
  // Where the store and the teachers listen.
  std::string host = "127.0.0.1";
  // What workers call the host.
  std::string advertised_host = "127.0.0.1";
  // Its device is that of the teachers too.
  WorkerSettings worker;
  // What all processes are given, so that they and the coordinator trust each
  // other.
  AccessOptions access;
  // How long a server may take until it listens.
  absl::Duration start_limit = absl::Minutes(2);
  // A process that dies so often without living for ten seconds ends the sweep.
  int max_quick_deaths = 5;
};

// Not thread-safe: one thread starts, supervises and stops.
class LocalCluster {
 public:
  explicit LocalCluster(LocalClusterOptions options);
  // Stops what still runs.
  ~LocalCluster();

  // Starts the store on work_dir/logit_store; returns its address.
  absl::StatusOr<std::string> StartStore();
  // Starts `count` servers of the model in `model_dir`; returns their
  // addresses.
  absl::StatusOr<std::vector<std::string>> StartTeachers(
      const TeacherSource& teacher, const std::string& store_address,
      int count);
  // Starts workers called "local/0", "local/1", ... of the coordinator there.
  absl::Status StartWorkers(const std::string& coordinator, int count);

  // Runs a program of the project to its end, its output in a log;
  // INTERNAL with the log's tail when it fails, CANCELLED once `stopped` says
  // so.
  absl::Status Run(const std::string& name, const std::string& binary,
                   const std::vector<std::string>& args,
                   const std::function<bool()>& stopped);

  // Restarts what has died, telling `died(name, reason, log_tail)` first, which
  // returns whether a trial is to blame. INTERNAL with the log's tail when a
  // process keeps dying at once without one. Call it often.
  using Died =
      std::function<bool(const std::string& name, const std::string& reason,
                         const std::string& log_tail)>;
  absl::Status Supervise(const Died& died);

  // The end of the log of the process called `name`; empty when it is none of
  // ours.
  std::string LogTailOf(const std::string& name) const;

  // Kills the process called `name`; Supervise starts it again.
  void Kill(const std::string& name);

  void StopTeachers();
  // Workers first, then teachers, then the store.
  void StopAll();

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
  void Stop(Kind kind);

  const LocalClusterOptions options_;
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LOCAL_CLUSTER_H_
