// A store, teachers, a coordinator and workers as separate processes, with a
// proxy on every link between them.

#ifndef KODISTIL_TESTS_CHAOS_CLUSTER_H_
#define KODISTIL_TESTS_CHAOS_CLUSTER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/process.h"
#include "tests/chaos/schedule.h"
#include "tests/chaos/tcp_proxy.h"

namespace kodistil {

struct ClusterOptions {
  std::string folder;  // everything is in it: data, logs
  std::string model;   // the teacher's
  int teachers = 2;
  int workers = 2;
  // Workers of one machine share their cache, those of two machines do not.
  bool shared_cache = false;
  std::vector<std::string> sweep_flags;
  // Of each piece of data from a teacher to the store and back, always: so that
  // labelling lasts for a while.
  absl::Duration store_delay = absl::Milliseconds(50);
};

// Each process is started again as systemd would do it (Restart=on-failure with
// its 100 ms), on another port, which its proxies find. Not thread-safe; the
// processes die with the thread that made it.
class Cluster {
 public:
  static absl::StatusOr<std::unique_ptr<Cluster>> Start(
      const ClusterOptions& options);
  ~Cluster();

  // What can be hit: while rows are labelled ...
  ScheduleOptions LabellingTargets() const;
  // ... and while students are trained.
  ScheduleOptions TrainingTargets() const;

  // Whether there was something to hit: a process that ran, a connection.
  bool Apply(const Fault& fault);
  // Stopped processes go on, links pass data.
  void EndFaults();

  // Starts workers once the first coordinator serves, starts again what has
  // ended, and ends faults whose time is over; to be called every few
  // milliseconds. INTERNAL when a process has ended in a way
  // that no fault explains.
  absl::Status Step();

  // Whether a coordinator has served workers.
  bool TrainingHasBegun() const;
  // Whether the coordinator has said that the sweep is over.
  bool SweepIsOver() const;
  int restarts() const { return restarts_; }
  // Of the store itself, empty while it starts.
  std::string StoreAddress() const;
  std::string work_dir() const;
  // Of all coordinators, one after the other.
  std::string coordinator_log() const;

  // SIGTERM to everything; errors as Step.
  absl::Status Stop();

 private:
  enum class Kind { kStore, kTeacher, kCoordinator, kWorker };
  struct Member;

  explicit Cluster(const ClusterOptions& options);
  absl::Status MakeLinks();
  void AddStore();
  void AddTeachers();
  void AddCoordinator();
  void AddWorkers();
  Member* AddMember(Kind kind, const std::string& name,
                    const std::string& binary);
  absl::Status Launch(Member* member);
  absl::Status WaitForPort(Member* member);
  // Where the member listens now is where its links lead.
  void FindPort(Member* member);
  absl::Status NoteEnd(Member* member);
  Member* Find(const std::string& name);
  std::vector<std::string> Names(Kind kind) const;
  std::string LinkAddress(const std::string& name) const;

  struct Link {
    std::unique_ptr<TcpProxy> proxy;
    std::string to;                             // name of the server
    absl::Duration delay;                       // without a fault
    absl::Time until = absl::InfiniteFuture();  // end of its fault
  };

  const ClusterOptions options_;
  std::map<std::string, Link> links_;
  std::vector<std::unique_ptr<Member>> members_;
  bool training_has_begun_ = false;
  int restarts_ = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_TESTS_CHAOS_CLUSTER_H_
