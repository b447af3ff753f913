// Runs the real coordinator with its real processes on small generated data,
// and looks at what it left behind.

#ifndef KODISTIL_TESTS_SWEEP_HARNESS_H_
#define KODISTIL_TESTS_SWEEP_HARNESS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/process.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// One work folder. Not thread-safe.
class SweepHarness {
 public:
  // Flags of every run besides --sweep and --work_dir.
  explicit SweepHarness(std::vector<std::string> flags);

  // From now on the coordinator's local workers are this program of the
  // project, with these variables in their environment; empty for the usual.
  void UseWorker(const std::string& binary,
                 const std::map<std::string, std::string>& environment);

  // Starts the coordinator with the flags and `more`.
  std::unique_ptr<Process> Start(const std::vector<std::string>& more = {});
  // Starts it and waits for the end; returns its exit code.
  int Run(const std::vector<std::string>& more = {});

  // Stdout and stderr of the last run.
  std::string Output() const;
  // ComparableResults of results.json; empty when there is none.
  std::string ComparableResults() const;
  // Trial ids of results.json.
  std::vector<std::string> TrialIds() const;
  // Attempts of all trials together.
  int Attempts() const;

  // The coordinator's trials as they change, until `done` says so; false when
  // the sweep or the coordinator ended before, or nothing came for two minutes.
  bool WatchUntil(
      Process* coordinator,
      const std::function<bool(const std::vector<v1::Trial>&)>& done) const;

  const std::string& work_dir() const { return work_dir_; }
  std::string InWork(const std::string& name) const;

 private:
  const std::vector<std::string> flags_;
  const std::string work_dir_;
  std::string log_path_;
  std::string coordinator_;  // the program
  std::map<std::string, std::string> environment_;
  int runs_ = 0;
};

// Looks at `condition` every 10 ms; false after `limit`.
bool PollUntil(absl::Duration limit, const std::function<bool()>& condition);

// Processes started by `parent` whose command line holds `text`.
std::vector<int> ChildrenOf(int parent, const std::string& text);

// results.json without what time decides (seconds, rates, attempts), so that
// two runs can be compared.
std::string ComparableResults(const std::string& results_json);

// A program of the project in the runfiles.
std::string TestBinary(const std::string& path);

}  // namespace kodistil

#endif  // KODISTIL_TESTS_SWEEP_HARNESS_H_
