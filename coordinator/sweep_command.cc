#include <signal.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/log.h"
#include "base/server.h"
#include "coordinator/sweep.h"
#include "coordinator/sweep_launch.h"

namespace kodistil {
namespace {

// As shells do after Ctrl-C.
constexpr int kExitInterrupted = 128 + SIGINT;

absl::StatusOr<std::string> Render(const SweepResults& results,
                                   const std::string& output) {
  if (output == "json") return ResultsJson(results);
  if (output == "csv") return ResultsTable(results).ToCsv();
  if (output == "markdown") return ResultsTable(results).ToMarkdown();
  if (output == "table") return ResultsTable(results).ToText();
  return absl::InvalidArgumentError(absl::StrCat(
      "--output: found '", output, "', expected table, json, csv or markdown"));
}

// The table and the closing lines; returns the exit code.
int Show(const SweepOptions& options, const std::string& output,
         const SweepOutcome& outcome) {
  if (options.label_only || absl::IsCancelled(outcome.status)) return kExitOk;
  std::fputs(Render(outcome.results, output)->c_str(), stdout);
  std::fflush(stdout);
  SayLine(absl::StrCat(outcome.trained, " cells trained now; results in ",
                       JoinPath(options.work_dir, "results.{json,csv,md}"),
                       " and ", JoinPath(options.work_dir, "report.html")));
  if (!outcome.status.ok()) return ExitCodeOf(outcome.status);
  if (outcome.failed > 0) {
    SayLine(absl::StrCat("error: ", outcome.failed, " cells have no result"),
            Severity::kError);
    return kExitFailure;
  }
  return kExitOk;
}

}  // namespace

int RunSweepCommand(const SweepOptions& options, const std::string& output) {
  const auto known = Render(SweepResults(), output);
  if (!known.ok()) return ExitCodeOf(known.status());
  if (options.launch == kLaunchPrint) return ExitCodeOf(PrintLaunch(options));
  static std::atomic<int> stop{0};  // the signal
  int code = kExitOk;
  // Ends with the process: it waits for a signal that may never come.
  std::thread([] { stop = WaitForStopSignal(); }).detach();
  const auto outcome = RunSweep(
      options, [] { return stop.load() != 0; },
      [&](const SweepOutcome& ended) { code = Show(options, output, ended); });
  const absl::Status status = outcome.ok() ? outcome->status : outcome.status();
  if (absl::IsCancelled(status) && stop != 0) {
    SayLine(
        "stopped; what is done is kept. Give the same command again to go on.");
    // Who sent SIGTERM (systemd, Kubernetes, Slurm) is to start it again.
    return stop == SIGINT ? kExitInterrupted : kExitRetry;
  }
  return outcome.ok() ? code : ExitCodeOf(outcome.status());
}

}  // namespace kodistil
