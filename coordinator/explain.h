// Why a trial is where it is, asked of a running coordinator or of its ledger.

#ifndef KODISTIL_COORDINATOR_EXPLAIN_H_
#define KODISTIL_COORDINATOR_EXPLAIN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/access.h"

namespace kodistil {

// Sentences about the trial with this id or prefix in `work_dir`. Asks the
// coordinator that works there (`access` is for that connection), or reads the
// ledger when none does. NOT_FOUND for an unknown trial or a folder without a
// ledger, INVALID_ARGUMENT for a prefix of several trials.
absl::StatusOr<std::vector<std::string>> Explain(const std::string& work_dir,
                                                 const std::string& trial_id,
                                                 const AccessOptions& access);

// What --explain does: prints them; returns the exit code.
int RunExplainCommand(const std::string& work_dir, const std::string& trial_id,
                      const AccessOptions& access);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_EXPLAIN_H_
