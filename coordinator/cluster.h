// Where the teachers and workers of a sweep run.

#ifndef KODISTIL_COORDINATOR_CLUSTER_H_
#define KODISTIL_COORDINATOR_CLUSTER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "coordinator/part_args.h"

namespace kodistil {

class LocalCluster;

struct ClusterOptions {
  std::string work_dir;
  // Where the store and the teachers of this machine listen.
  std::string host = "127.0.0.1";
  // What workers call this machine.
  std::string advertised_host = "127.0.0.1";
  // Where the coordinator listens.
  int coordinator_port = 0;
  // The store listens where an earlier one of the folder did, if it can.
  bool keep_store_port = false;
  // Its device is that of the teachers too.
  WorkerSettings worker;
  // What all processes are given, so that they and the coordinator trust each
  // other.
  AccessOptions access;
  // How long a server of this machine may take until it listens.
  absl::Duration start_limit = absl::Minutes(2);
  // What dies so often at once, without a trial to blame, ends the sweep.
  int max_quick_deaths = 5;
};

// Not thread-safe: one thread starts, supervises and stops.
class Cluster {
 public:
  // Stops what still runs.
  virtual ~Cluster() = default;

  // What runs on this machine in any case: the store, and short programs.
  virtual LocalCluster& here() = 0;

  // Whether teachers take their time and then come to the coordinator's
  // registry by themselves.
  virtual bool TeachersRegister() const = 0;
  // Starts `count` servers of the model; returns the addresses of those that do
  // not register.
  virtual absl::StatusOr<std::vector<std::string>> StartTeachers(
      const TeacherSource& teacher, const std::string& store_address,
      int count) = 0;
  virtual absl::Status StartWorkers(int count) = 0;

  struct Death {
    std::string reason;
    std::string log_tail;
    // Whether what died may have done so because of what it did.
    bool counts = true;
  };
  // Gets the name of what died, which is the worker's; returns whether a trial
  // is to blame.
  using Died = std::function<bool(const std::string& name, const Death& death)>;
  // Starts again what has died, telling `died` first. INTERNAL with the log's
  // tail when something keeps dying without a trial to blame. Call it often.
  virtual absl::Status Supervise(const Died& died) = 0;

  // The end of the log of the process called `name`; empty when it is none of
  // ours.
  virtual std::string LogTailOf(const std::string& name) const = 0;
  // Ends the process called `name`, which is silent, where nobody else does;
  // Supervise starts it again.
  virtual void Kill(const std::string& name) = 0;

  virtual void StopTeachers() = 0;
  // Workers first, then teachers, then the store.
  virtual void StopAll() = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_CLUSTER_H_
