// An open-loop load generator: requests are due at a fixed rate whether or not
// earlier ones are answered, and an answer's time counts from when its request
// was due, so that a server that stalls is not spared the requests that it
// kept from being sent (Gil Tene's "coordinated omission").

#ifndef KODISTIL_SERVING_LOAD_GENERATOR_H_
#define KODISTIL_SERVING_LOAD_GENERATOR_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace kodistil {

struct LoadOptions {
  // "127.0.0.1:8080".
  std::string address;
  // "http" (POST /v1/classify) or "grpc".
  std::string protocol = "http";
  // Requests a second, above 0 to 1,000,000.
  double rate = 1000;
  // 1 ms to 10 min.
  absl::Duration duration = absl::Seconds(10);
  // Requests at once, 1 to 1,024; those that are due beyond wait their turn.
  int connections = 64;
  // Texts in turn, one a request; at least one.
  std::vector<std::string> texts;
  // Whether the address may be another machine's.
  bool allow_remote = false;

  absl::Status Validate() const;
};

struct LoadResult {
  int64_t good = 0;
  // Kind of failure -> how often.
  std::map<std::string, int64_t> failures;
  // From the first request's being due to the last answer.
  absl::Duration elapsed;
  // Of good answers, from when they were due.
  absl::Duration p50, p90, p99, most;
  // How late requests were begun though a connection was free, which is the
  // generator's own doing, or its machine's: the times above hold that too.
  absl::Duration late_p99;

  double rate() const { return good / absl::ToDoubleSeconds(elapsed); }
};

// Sends rate * duration requests and waits for their answers. INVALID_ARGUMENT
// for bad options; failures of requests are counted, not returned.
absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_LOAD_GENERATOR_H_
