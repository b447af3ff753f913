// Labels a dataset: hands the rows that the store misses to teacher servers
// until every row is durable.

#ifndef KODISTIL_COORDINATOR_LABELLER_H_
#define KODISTIL_COORDINATOR_LABELLER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "corpus/dataset.h"
#include "kodistil/v1/logit_store.pb.h"

namespace kodistil {

struct LabellerOptions {
  // host:port of teacher servers, one or more. A name that resolves to several
  // addresses stands for all of them.
  std::vector<std::string> teachers;
  v1::LogitSetId set;
  // Rows of one message, 1 to 4,096.
  int chunk_rows = 256;
  // Messages without an acknowledgement at one teacher.
  int window = 4;
  // How long labelling goes on while no teacher answers.
  absl::Duration patience = absl::Minutes(5);
  // Of the connections to the teachers.
  AccessOptions access;

  absl::Status Validate() const;
};

struct LabelReport {
  int64_t rows = 0;
  absl::Duration elapsed;
  // Rows by teacher address.
  std::map<std::string, int64_t> rows_by_teacher;
};

// Progress: rows acknowledged so far. Returning false stops with CANCELLED;
// rows acknowledged stay.
using LabelProgress = std::function<bool(int64_t done)>;

// Labels the rows of `missing`. The rows of a teacher that dies go to the
// others, and it is tried again until the end. UNAVAILABLE when no teacher has
// acknowledged anything for options.patience; the first other error of a
// teacher (wrong model, refused row) ends the labelling.
absl::StatusOr<LabelReport> LabelRows(
    const LabellerOptions& options, const Dataset& dataset,
    const std::vector<v1::IndexRange>& missing, const LabelProgress& progress);

// Addresses for `targets`, which are host:port: each name is resolved, so that
// one DNS name may stand for several servers, and stays with the address
// (name@10.0.0.1:50051, see NewChannel). INVALID_ARGUMENT names what is not
// host:port, UNAVAILABLE what does not resolve.
absl::StatusOr<std::vector<std::string>> ResolveTargets(
    const std::vector<std::string>& targets);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LABELLER_H_
