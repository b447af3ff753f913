#include "tests/chaos/schedule.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/hash.h"

namespace kodistil {
namespace {

template <typename T>
const T& Pick(const std::vector<T>& from, Pcg32* random) {
  return from[random->Below(from.size())];
}

absl::Duration UpTo(absl::Duration most, Pcg32* random) {
  return most * (1 + random->Below(1000)) / 1000;
}

// Half of what hits a process is SIGKILL.
Action PickSignal(Pcg32* random) {
  constexpr Action kActions[] = {Action::kKill, Action::kKill,
                                 Action::kTerminate, Action::kStop};
  return kActions[random->Below(4)];
}

Action PickNetworkFault(Pcg32* random) {
  constexpr Action kActions[] = {Action::kDelay, Action::kHang, Action::kDrop,
                                 Action::kCut};
  return kActions[random->Below(4)];
}

}  // namespace

const char* ActionName(Action action) {
  switch (action) {
    case Action::kKill:
      return "KILL";
    case Action::kTerminate:
      return "TERM";
    case Action::kStop:
      return "STOP";
    case Action::kDelay:
      return "delay";
    case Action::kHang:
      return "hang";
    case Action::kDrop:
      return "drop";
    case Action::kCut:
      return "cut";
  }
  return "?";
}

bool IsSignal(Action action) {
  return action == Action::kKill || action == Action::kTerminate ||
         action == Action::kStop;
}

std::string FaultText(const Fault& fault) {
  std::string text =
      absl::StrFormat("at %.2f s %s %s", absl::ToDoubleSeconds(fault.at),
                      ActionName(fault.action), fault.target);
  if (fault.length > absl::ZeroDuration()) {
    absl::StrAppendFormat(&text, " for %.2f s",
                          absl::ToDoubleSeconds(fault.length));
  }
  if (fault.action == Action::kDelay) {
    absl::StrAppend(&text, ", ", absl::FormatDuration(fault.delay), " a piece");
  }
  if (fault.action == Action::kCut) {
    absl::StrAppend(&text, " after ", fault.bytes, " bytes");
  }
  return text;
}

std::vector<Fault> MakeSchedule(uint64_t seed, const ScheduleOptions& options) {
  Pcg32 random(seed, options.stream);
  std::vector<Fault> faults;
  absl::Duration at;
  for (int i = 0; i < options.faults; ++i) {
    at += UpTo(2 * options.gap, &random);
    Fault fault;
    fault.at = at;
    // A third of the faults are the network's.
    if (random.Below(3) > 0) {
      fault.action = PickSignal(&random);
      fault.target = Pick(Pick(options.processes, &random), &random);
    } else {
      fault.action = PickNetworkFault(&random);
      fault.target = Pick(options.links, &random);
    }
    if (fault.action == Action::kStop || fault.action == Action::kHang ||
        fault.action == Action::kDelay) {
      fault.length = UpTo(options.longest, &random);
    }
    if (fault.action == Action::kDelay) {
      fault.delay = UpTo(absl::Milliseconds(100), &random);
    }
    // Of 50,000 bytes, more often few than many.
    if (fault.action == Action::kCut) {
      fault.bytes = int64_t{random.Below(50000)} * random.Below(1000) / 1000;
    }
    faults.push_back(fault);
  }
  return faults;
}

}  // namespace kodistil
