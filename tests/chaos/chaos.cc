#include "tests/chaos/chaos.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/dataset_reader.h"
#include "tests/server_process.h"

namespace kodistil {
namespace {

constexpr int kRows = 4000;
constexpr absl::Duration kStep = absl::Milliseconds(5);
// What reaching the store may take after the sweep, when a fault has just hit
// it.
constexpr absl::Duration kStoreStart = absl::Seconds(30);

// Five cells: four distilled ones and their twin without a teacher. Rows and
// epochs are as many as labelling and training need to be under way when
// something happens. Leases run out soon, as rounds are short.
std::vector<std::string> SweepFlags() {
  return {"--dataset=sample",  absl::StrCat("--sample_rows=", kRows),
          "--vocab_size=300",  "--student=small",
          "--temperature=1,2", "--loss_rate=0.1,0.5",
          "--train_epoch=6",   "--lease=2s",
          "--heartbeat=200ms"};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Chaos>> Chaos::Create(
    const ChaosOptions& options) {
  auto chaos = std::unique_ptr<Chaos>(new Chaos(options));
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(options.folder));
  KODISTIL_RETURN_IF_ERROR(chaos->TrainTeacher());
  const std::string folder = JoinPath(options.folder, "undisturbed");
  KODISTIL_ASSIGN_OR_RETURN(const auto cluster,
                            Cluster::Start(chaos->OptionsOf(folder, 0)));
  RoundReport report;
  KODISTIL_ASSIGN_OR_RETURN(chaos->undisturbed_,
                            chaos->Run(cluster.get(), {}, &report));
  chaos->undisturbed_time_ = report.took;
  // With nothing killed every commit has been told.
  const Outcome& outcome = chaos->undisturbed_;
  if (outcome.rows.size() != kRows ||
      outcome.commits.size() != outcome.attempts.size() ||
      outcome.attempts.empty() || report.restarts > 0 ||
      !Differences(outcome, outcome).empty()) {
    return absl::InternalError(
        absl::StrCat("the undisturbed sweep has ", outcome.rows.size(),
                     " rows, ", outcome.attempts.size(), " trials, ",
                     outcome.commits.size(), " commits in its log and ",
                     report.restarts, " restarts; see ", folder));
  }
  return chaos;
}

absl::Status Chaos::TrainTeacher() {
  DatasetOptions options;
  options.sample_rows = kRows;
  KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset,
                            ReadDataset(options, /*report=*/nullptr));
  const std::string rows = JoinPath(options_.folder, "rows.kds");
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(rows, SerializeDataset(dataset)));
  KODISTIL_ASSIGN_OR_RETURN(model_, TrainNgramTeacher(options_.folder, rows));
  return absl::OkStatus();
}

ClusterOptions Chaos::OptionsOf(const std::string& folder,
                                uint64_t seed) const {
  ClusterOptions options;
  options.folder = folder;
  options.model = model_;
  options.shared_cache = seed % 2 == 1;
  options.sweep_flags = SweepFlags();
  return options;
}

RoundReport Chaos::RunRound(uint64_t seed) {
  RoundReport report;
  report.seed = seed;
  report.folder = JoinPath(options_.folder, absl::StrCat("seed-", seed));
  const auto fail = [&report](const absl::Status& status) {
    report.wrong.push_back(std::string(status.message()));
  };
  const absl::Status emptied = RemoveAll(report.folder);
  if (!emptied.ok()) fail(emptied);
  const auto cluster = Cluster::Start(OptionsOf(report.folder, seed));
  if (!cluster.ok()) {
    fail(cluster.status());
    return report;
  }
  const auto outcome = Run(cluster->get(), MakePlan(**cluster, seed), &report);
  if (outcome.ok()) {
    report.wrong = Differences(undisturbed_, *outcome);
  } else {
    fail(outcome.status());
  }
  if (report.wrong.empty() && !options_.keep) {
    const absl::Status removed = RemoveAll(report.folder);
    if (!removed.ok()) fail(removed);
    report.folder.clear();
  }
  return report;
}

absl::StatusOr<Outcome> Chaos::Run(Cluster* cluster, Plan plan,
                                   RoundReport* report) {
  const absl::Time start = absl::Now();
  const absl::Status ended = RunToTheEnd(cluster, std::move(plan), report);
  report->took = absl::Now() - start;
  report->restarts = cluster->restarts();
  KODISTIL_RETURN_IF_ERROR(ended);
  cluster->EndFaults();
  const absl::Time give_up = absl::Now() + kStoreStart;
  do {
    KODISTIL_RETURN_IF_ERROR(cluster->Step());
    absl::SleepFor(kStep);
  } while (cluster->StoreAddress().empty() && absl::Now() < give_up);
  absl::StatusOr<Outcome> outcome = ReadOutcome(
      cluster->work_dir(), cluster->coordinator_log(), cluster->StoreAddress());
  KODISTIL_RETURN_IF_ERROR(cluster->Stop());
  return outcome;
}

Chaos::Plan Chaos::MakePlan(const Cluster& cluster, uint64_t seed) const {
  ScheduleOptions labelling = cluster.LabellingTargets();
  labelling.faults = options_.faults / 3;
  labelling.gap = options_.gap;
  ScheduleOptions training = cluster.TrainingTargets();
  training.faults = options_.faults - labelling.faults;
  training.gap = options_.gap;
  return {MakeSchedule(seed, labelling), MakeSchedule(seed, training)};
}

absl::Time Chaos::HitWhatIsDue(Cluster* cluster, absl::Time begin,
                               std::vector<Fault>* faults,
                               RoundReport* report) {
  const absl::Time now = absl::Now();
  absl::Time over = absl::InfinitePast();
  while (!faults->empty() && begin + faults->front().at <= now) {
    Hit(cluster, faults->front(), report);
    over = std::max(over, now + faults->front().length);
    faults->erase(faults->begin());
  }
  return over;
}

absl::Status Chaos::RunToTheEnd(Cluster* cluster, Plan plan,
                                RoundReport* report) {
  const absl::Time begin = absl::Now();
  absl::Time training = absl::InfiniteFuture();
  absl::Time over = begin;  // the last fault so far
  while (!cluster->SweepIsOver()) {
    over =
        std::max(over, HitWhatIsDue(cluster, begin, &plan.labelling, report));
    if (cluster->TrainingHasBegun()) {
      training = std::min(training, absl::Now());
      over = std::max(over,
                      HitWhatIsDue(cluster, training, &plan.training, report));
    }
    KODISTIL_RETURN_IF_ERROR(cluster->Step());
    if (absl::Now() > over + options_.limit) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the sweep was not over ", absl::FormatDuration(options_.limit),
          " after the last fault"));
    }
    absl::SleepFor(kStep);
  }
  return absl::OkStatus();
}

void Chaos::Hit(Cluster* cluster, const Fault& fault, RoundReport* report) {
  const bool hit = cluster->Apply(fault);
  if (hit) {
    ++hits_[fault.target][fault.action];
    ++report->faults;
  }
  std::ofstream log(JoinPath(report->folder, "faults.log"), std::ios::app);
  log << absl::FormatTime("%H:%M:%E6S ", absl::Now(), absl::UTCTimeZone())
      << FaultText(fault) << (hit ? "" : " (nothing there)") << "\n";
}

int Chaos::HitsOf(const std::string& target, Action action) const {
  const auto hits = hits_.find(target);
  if (hits == hits_.end() || hits->second.count(action) == 0) return 0;
  return hits->second.at(action);
}

Table Chaos::Hits() const {
  constexpr Action kActions[] = {
      Action::kKill, Action::kTerminate, Action::kStop, Action::kDelay,
      Action::kHang, Action::kDrop,      Action::kCut};
  std::vector<Table::Column> columns = {{"hit"}};
  for (const Action action : kActions) {
    columns.push_back({ActionName(action), /*right=*/true});
  }
  Table table(columns);
  std::vector<std::string> sums = {"all"};
  for (const Action action : kActions) {
    int sum = 0;
    for (const auto& [target, hits] : hits_) sum += HitsOf(target, action);
    sums.push_back(absl::StrCat(sum));
  }
  for (const auto& [target, hits] : hits_) {
    std::vector<std::string> cells = {target};
    for (const Action action : kActions) {
      const int count = HitsOf(target, action);
      cells.push_back(count == 0 ? "" : absl::StrCat(count));
    }
    table.AddRow(cells);
  }
  table.AddRow(sums);
  return table;
}

}  // namespace kodistil
