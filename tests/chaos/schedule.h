// What goes wrong in a round of chaos, and when.

#ifndef KODISTIL_TESTS_CHAOS_SCHEDULE_H_
#define KODISTIL_TESTS_CHAOS_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace kodistil {

enum class Action {
  // To a process: signals. A stopped one goes on after `length`.
  kKill,
  kTerminate,
  kStop,
  // To a link between two processes.
  kDelay,  // every piece takes `delay`, for `length`
  kHang,   // nothing passes for `length`
  kDrop,   // all connections are cut at once
  kCut,    // all connections are cut after `bytes` more
};
// "KILL", "TERM", "STOP", "delay", "hang", "drop", "cut".
const char* ActionName(Action action);
bool IsSignal(Action action);

struct Fault {
  absl::Duration at;  // from the beginning of its part of the round
  Action action = Action::kKill;
  std::string target;  // a process or a link
  absl::Duration length;
  absl::Duration delay;
  int64_t bytes = 0;
};

// "at 2.31 s STOP worker-0 for 1.2 s".
std::string FaultText(const Fault& fault);

struct ScheduleOptions {
  // Kinds of processes, each of which is hit as often: {{"store"},
  // {"teacher-0", "teacher-1"}, ...}.
  std::vector<std::vector<std::string>> processes;
  std::vector<std::string> links;
  // Schedules of one seed and several streams have nothing in common.
  uint64_t stream = 0;
  int faults = 20;
  // Between two faults, on average.
  absl::Duration gap = absl::Milliseconds(300);
  // Of stops and hangs.
  absl::Duration longest = absl::Seconds(3);
};

// The same for the same seed, whatever the machine. In order of time.
std::vector<Fault> MakeSchedule(uint64_t seed, const ScheduleOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TESTS_CHAOS_SCHEDULE_H_
