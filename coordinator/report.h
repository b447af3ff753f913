// The report of a sweep: one HTML file with table, plots and comparisons.

#ifndef KODISTIL_COORDINATOR_REPORT_H_
#define KODISTIL_COORDINATOR_REPORT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coordinator/results.h"

namespace kodistil {

// What the page shows, as JSON; see docs/report.md. Comparisons are of models
// whose predictions are known: each trial with its plain twin and with the best
// trial, and each two of the teachers and the 100 most accurate trials.
std::string ReportDataJson(const SweepResults& results);

enum class ReportKind {
  kFile,  // needs nothing but itself
  kLive,  // asks a Dashboard for news until the sweep has ended
};

// The Content-Security-Policy of the page: nothing but its own scripts and
// style, by their hashes, and for kLive its own server.
std::string ReportPolicy(ReportKind kind);

// The page, which loads nothing from elsewhere and runs no script but its own:
// its policy says so to the browser.
std::string ReportPage(absl::string_view data_json, ReportKind kind);

// Writes report.html into `folder`.
absl::Status WriteReport(const SweepResults& results,
                         const std::string& folder);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_REPORT_H_
