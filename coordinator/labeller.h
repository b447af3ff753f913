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
#include "coordinator/label_schedule.h"
#include "corpus/dataset.h"
#include "kodistil/v1/logit_store.pb.h"

namespace kodistil {

struct LabellerOptions {
  // host:port of teacher servers. A name that resolves to several addresses
  // stands for all of them, and is resolved again every resolve_interval.
  std::vector<std::string> teachers;
  // Addresses of servers that come and go; asked ten times a second. May be
  // null where `teachers` is not empty.
  std::function<std::vector<std::string>()> registered;
  v1::LogitSetId set;
  LabelScheduleOptions schedule;
  // Tokens after which the teacher cuts a row; 0 when it does not.
  int32_t max_length = 0;
  // How long labelling goes on while no teacher answers.
  absl::Duration patience = absl::Minutes(5);
  absl::Duration resolve_interval = absl::Seconds(10);
  // Told ten times a second how it goes; may be null.
  std::function<void(const v1::LabellingStatus&)> status;
  // Of the connections to the teachers.
  AccessOptions access;

  absl::Status Validate() const;
};

struct LabelReport {
  int64_t rows = 0;
  absl::Duration elapsed;
  // By the teacher's address.
  std::map<std::string, TeacherShare> shares;
};

// Progress: rows acknowledged so far and teachers connected. Returning false
// stops with CANCELLED; rows acknowledged stay.
using LabelProgress = std::function<bool(int64_t done, int teachers)>;

// Labels the rows of `missing`. The rows of a teacher that dies go to the
// others, and it is tried again until the end or until it is registered no
// more. UNAVAILABLE when no teacher has acknowledged anything for
// options.patience. The first other error of a teacher (wrong model, refused
// row) ends the labelling; a registered teacher that is the wrong one is left
// out instead: FAILED_PRECONDITION, NOT_FOUND, PERMISSION_DENIED,
// UNAUTHENTICATED, UNIMPLEMENTED.
absl::StatusOr<LabelReport> LabelRows(
    const LabellerOptions& options, const Dataset& dataset,
    const std::vector<v1::IndexRange>& missing, const LabelProgress& progress);

// "100,000 rows in 4.1 s (24,390 rows/s)".
std::string LabelSummary(const LabelReport& report);

// What each teacher did, by address: "teacher 10.0.0.5:50051: 61,234 rows
// (61 %), 20,100 rows/s" of the time in which it was connected.
std::vector<std::string> ShareLines(const LabelReport& report);

// What a row weighs: its characters and two, at most `max_length` unless that
// is 0. A tokenizer of Korean makes about one token of a character.
int32_t EstimateTokens(const Row& row, int32_t max_length);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LABELLER_H_
