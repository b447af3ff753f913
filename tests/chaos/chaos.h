// Rounds of chaos: small sweeps in which processes are killed and connections
// are cut by a schedule, each compared with a sweep that nothing disturbed.

#ifndef KODISTIL_TESTS_CHAOS_CHAOS_H_
#define KODISTIL_TESTS_CHAOS_CHAOS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/table.h"
#include "tests/chaos/cluster.h"
#include "tests/chaos/outcome.h"
#include "tests/chaos/schedule.h"

namespace kodistil {

struct ChaosOptions {
  // Holds a folder for each round.
  std::string folder;
  // Keeps the folders of rounds in which all was well, too.
  bool keep = false;
  // Faults of a round, a third of them from its beginning on, the others once
  // students are trained, and the time between two, on average.
  int faults = 18;
  absl::Duration gap = absl::Milliseconds(400);
  // What a round may take from its last fault on.
  absl::Duration limit = absl::Minutes(2);
};

struct RoundReport {
  uint64_t seed = 0;
  absl::Duration took;
  int faults = 0;    // that hit something
  int restarts = 0;  // of processes
  // What went wrong; empty when all was well.
  std::vector<std::string> wrong;
  // Where logs and data are, when they were kept.
  std::string folder;
};

// Not thread-safe.
class Chaos {
 public:
  // Trains the teacher and runs the sweep undisturbed.
  static absl::StatusOr<std::unique_ptr<Chaos>> Create(
      const ChaosOptions& options);

  // A sweep under the schedule of `seed`.
  RoundReport RunRound(uint64_t seed);

  absl::Duration undisturbed_time() const { return undisturbed_time_; }
  const Outcome& undisturbed() const { return undisturbed_; }
  // How often each process and link was hit with what, in all rounds.
  Table Hits() const;
  int HitsOf(const std::string& target, Action action) const;

 private:
  explicit Chaos(const ChaosOptions& options) : options_(options) {}
  absl::Status TrainTeacher();
  // Runs a sweep to its end and reads what it left.
  // The faults of a round that are still to come.
  struct Plan {
    std::vector<Fault> labelling;
    std::vector<Fault> training;
  };
  Plan MakePlan(const Cluster& cluster, uint64_t seed) const;
  absl::StatusOr<Outcome> Run(Cluster* cluster, Plan plan, RoundReport* report);
  absl::Status RunToTheEnd(Cluster* cluster, Plan plan, RoundReport* report);
  // Applies what is due; returns when the last fault will be over.
  absl::Time HitWhatIsDue(Cluster* cluster, absl::Time begin,
                          std::vector<Fault>* faults, RoundReport* report);
  void Hit(Cluster* cluster, const Fault& fault, RoundReport* report);
  ClusterOptions OptionsOf(const std::string& folder, uint64_t seed) const;

  const ChaosOptions options_;
  std::string model_;
  Outcome undisturbed_;
  absl::Duration undisturbed_time_;
  std::map<std::string, std::map<Action, int>> hits_;
};

}  // namespace kodistil

#endif  // KODISTIL_TESTS_CHAOS_CHAOS_H_
