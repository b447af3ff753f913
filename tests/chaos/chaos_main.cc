// Chaos by hand: as many rounds as one has patience for.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "tests/chaos/chaos.h"

ABSL_FLAG(uint64_t, seed, 0,
          "seed of the first round, the next rounds take the next ones; 0 for "
          "one from the clock");
ABSL_FLAG(int, rounds, 25, "how many sweeps are disturbed");
ABSL_FLAG(int, faults, kodistil::ChaosOptions().faults, "faults of a round");
ABSL_FLAG(absl::Duration, gap, kodistil::ChaosOptions().gap,
          "time between two faults, on average");
ABSL_FLAG(std::string, folder, "",
          "where rounds keep their data and logs; empty for a new one in /tmp");
ABSL_FLAG(bool, keep, kodistil::ChaosOptions().keep,
          "keep them also when all was well");

namespace kodistil {
namespace {

std::string NewFolder() {
  std::string folder = "/tmp/kodistil_chaos_XXXXXX";
  return mkdtemp(&folder[0]) == nullptr ? "" : folder;
}

void Print(const RoundReport& report, int round, int rounds) {
  std::printf("round %d of %d, seed %llu: %d faults, %d restarts, %.1f s: %s\n",
              round, rounds, static_cast<unsigned long long>(report.seed),
              report.faults, report.restarts,
              absl::ToDoubleSeconds(report.took),
              report.wrong.empty() ? "the same as undisturbed" : "DIFFERS");
  for (const std::string& line : report.wrong) {
    std::printf("  %s\n", line.c_str());
  }
  if (!report.folder.empty()) {
    std::printf("  data and logs: %s\n", report.folder.c_str());
  }
  std::fflush(stdout);
}

absl::Status Run() {
  ChaosOptions options;
  options.faults = absl::GetFlag(FLAGS_faults);
  options.gap = absl::GetFlag(FLAGS_gap);
  options.keep = absl::GetFlag(FLAGS_keep);
  options.folder = absl::GetFlag(FLAGS_folder);
  const bool own_folder = options.folder.empty();
  if (own_folder) options.folder = NewFolder();
  uint64_t seed = absl::GetFlag(FLAGS_seed);
  if (seed == 0) seed = absl::ToUnixSeconds(absl::Now());
  const int rounds = absl::GetFlag(FLAGS_rounds);
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(seed + rounds - 1));
  KODISTIL_ASSIGN_OR_RETURN(const auto chaos, Chaos::Create(options));
  std::printf("undisturbed: %zu trials, %zu rows, %.1f s\n",
              chaos->undisturbed().attempts.size(),
              chaos->undisturbed().rows.size(),
              absl::ToDoubleSeconds(chaos->undisturbed_time()));
  int differ = 0;
  for (int round = 1; round <= rounds; ++round) {
    const RoundReport report = chaos->RunRound(seed++);
    Print(report, round, rounds);
    differ += !report.wrong.empty();
  }
  std::printf("%s%d of %d rounds ended the same as undisturbed\n",
              chaos->Hits().ToText().c_str(), rounds - differ, rounds);
  if (differ > 0) {
    return absl::InternalError(absl::StrCat(differ, " rounds differ"));
  }
  return own_folder && !options.keep ? RemoveAll(options.folder)
                                     : absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //tests/chaos --",
       "Kills, stops and terminates the processes of small sweeps and disturbs "
       "their connections; every sweep must end as an undisturbed one does.",
       {"bazel run //tests/chaos",
        "bazel run //tests/chaos -- --rounds=1 "
        "--seed=1234 --keep"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
