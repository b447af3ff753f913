// What a sweep leaves behind, and whether two sweeps left the same.

#ifndef KODISTIL_TESTS_CHAOS_OUTCOME_H_
#define KODISTIL_TESTS_CHAOS_OUTCOME_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kodistil {

struct Outcome {
  // results.json without what time decides.
  std::string results;
  // Trials of results.json, by their first 12 digits, and their attempts.
  std::multimap<std::string, uint32_t> attempts;
  // By trial: attempts whose result a coordinator has committed. One that was
  // killed in between may have committed without saying so.
  std::map<std::string, std::set<uint32_t>> commits;
  // By trial: SHA-256 of the student's weights.
  std::map<std::string, std::string> weights;
  // The store: sets of logits, rows by index, rows that it misses.
  int sets = 0;
  std::multimap<uint64_t, std::vector<float>> rows;
  uint64_t missing = 0;
};

// Reads what the sweep in `work_dir` left behind, its coordinators' log and the
// store that serves on `store_address`.
absl::StatusOr<Outcome> ReadOutcome(const std::string& work_dir,
                                    const std::string& coordinator_log,
                                    const std::string& store_address);

// What is wrong with `outcome` as the end of a sweep that nothing should have
// changed, one line each; empty when it is as `undisturbed`, no row is lost or
// there twice, and no trial is counted twice.
std::vector<std::string> Differences(const Outcome& undisturbed,
                                     const Outcome& outcome);

}  // namespace kodistil

#endif  // KODISTIL_TESTS_CHAOS_OUTCOME_H_
