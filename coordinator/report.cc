#include "coordinator/report.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/hash.h"
#include "coordinator/paired_test.h"
#include "coordinator/report_assets.h"
#include "coordinator/twins.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;
using v1::Trial;
using Bits = std::shared_ptr<const PredictionBits>;

// Pairs grow with the square.
constexpr size_t kMostCompared = 100;

// A model whose predictions are known.
struct Model {
  std::string key;  // a trial's id or a teacher's fingerprint
  Bits bits;
};

Json PairJson(const PairedCounts& counts) {
  const double rows = std::max<double>(counts.rows(), 1);
  const double first = counts.only_first, second = counts.only_second;
  const Interval interval = DifferenceInterval(counts);
  return {{"difference", (first - second) / rows},
          {"low", interval.low},
          {"high", interval.high},
          {"only_first", counts.only_first},
          {"only_second", counts.only_second},
          {"p", McNemarExact(counts.only_first, counts.only_second)}};
}

// Predictions of other rows than these cannot be compared.
Bits BitsOf(const SweepResults& results, const std::string& trial_id) {
  const auto found = results.predictions.find(trial_id);
  return found == results.predictions.end() ? nullptr : found->second;
}

Json GainsJson(const SweepResults& results) {
  const Twins twins(results.trials);
  Json gains = Json::array();
  for (const Trial& trial : results.trials) {
    const Trial* const twin = twins.Of(trial);
    if (twin == nullptr) continue;
    const Bits first = BitsOf(results, trial.trial_id());
    const Bits second = BitsOf(results, twin->trial_id());
    if (first == nullptr || second == nullptr) continue;
    if (first->rows() != second->rows()) continue;
    Json gain = PairJson(CountPaired(*first, *second));
    gain["trial_id"] = trial.trial_id();
    gain["twin_id"] = twin->trial_id();
    gains.push_back(std::move(gain));
  }
  return gains;
}

// The trials of the sorted table, the best one first.
std::vector<Model> TrialModels(const SweepResults& results, const Json& table) {
  std::vector<Model> models;
  for (const Json& trial : table["trials"]) {
    const std::string id = trial["trial_id"];
    const Bits bits = BitsOf(results, id);
    if (bits == nullptr || trial["state"] != "DONE") continue;
    if (!models.empty() && models[0].bits->rows() != bits->rows()) continue;
    models.push_back({id, bits});
  }
  return models;
}

Json BestJson(const std::vector<Model>& trials) {
  Json pairs = Json::array();
  for (size_t i = 1; i < trials.size(); ++i) {
    const PairedCounts counts = CountPaired(*trials[i].bits, *trials[0].bits);
    pairs.push_back({{"trial_id", trials[i].key},
                     {"only_first", counts.only_first},
                     {"only_second", counts.only_second},
                     {"p", McNemarExact(counts.only_first,  //
                                        counts.only_second)}});
  }
  return pairs;
}

// Teachers, then the most accurate trials.
std::vector<Model> ComparedModels(const SweepResults& results,
                                  const std::vector<Model>& trials) {
  std::vector<Model> models;
  for (const TeacherResult& teacher : results.teachers) {
    if (teacher.predictions == nullptr || trials.empty()) continue;
    if (teacher.predictions->rows() != trials[0].bits->rows()) continue;
    models.push_back({teacher.fingerprint, teacher.predictions});
  }
  const size_t count = std::min(trials.size(), kMostCompared);
  models.insert(models.end(), trials.begin(), trials.begin() + count);
  return models;
}

Json PairsJson(const std::vector<Model>& models) {
  Json pairs = Json::array();
  for (size_t i = 0; i < models.size(); ++i) {
    for (size_t j = i + 1; j < models.size(); ++j) {
      const PairedCounts counts = CountPaired(*models[i].bits, *models[j].bits);
      pairs.push_back({i, j, counts.only_first, counts.only_second,
                       McNemarExact(counts.only_first, counts.only_second)});
    }
  }
  return pairs;
}

// Epochs of trials that have not ended; those of others are in their results.
Json RunningJson(const SweepResults& results) {
  Json running = Json::array();
  for (const Trial& trial : results.trials) {
    if (trial.state() != Trial::STATE_RUNNING) continue;
    Json history = Json::array();
    for (const v1::EpochReport& epoch : trial.history()) {
      history.push_back({{"epoch", epoch.epoch()},
                         {"train_loss", epoch.train_loss()},
                         {"valid_accuracy", epoch.valid_accuracy()}});
    }
    running.push_back({{"trial_id", trial.trial_id()},
                       {"epoch", trial.epoch()},
                       {"epoch_fraction", trial.epoch_fraction()},
                       {"history", std::move(history)}});
  }
  return running;
}

// Before the trials are known they have not ended.
bool Ended(const SweepResults& results) {
  return !results.trials.empty() &&
         std::none_of(results.trials.begin(), results.trials.end(),
                      [](const Trial& trial) {
                        return trial.state() == Trial::STATE_PENDING ||
                               trial.state() == Trial::STATE_RUNNING;
                      });
}

// As a source in a Content-Security-Policy.
std::string HashSource(absl::string_view content) {
  return absl::StrCat("'sha256-", absl::Base64Escape(Sha256Raw(content)), "'");
}

}  // namespace

std::string ReportDataJson(const SweepResults& results) {
  Json data;
  data["format_version"] = 1;
  data["ended"] = Ended(results);
  // The very table that results.json holds.
  data["results"] = Json::parse(ResultsJson(results));
  data["gains"] = GainsJson(results);
  const std::vector<Model> trials = TrialModels(results, data["results"]);
  data["best"] = BestJson(trials);
  const std::vector<Model> compared = ComparedModels(results, trials);
  data["compared"] = Json::array();
  for (const Model& model : compared) data["compared"].push_back(model.key);
  data["pairs"] = PairsJson(compared);
  data["running"] = RunningJson(results);
  return data.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace);
}

std::string ReportPolicy(ReportKind kind) {
  return absl::StrCat(
      "default-src 'none'; style-src ", HashSource(kReportStyle),
      "; script-src ", HashSource(kReportLibrary), " ",
      HashSource(kReportScript), "; img-src data:; connect-src ",
      kind == ReportKind::kLive ? "'self'" : "'none'",
      "; base-uri 'none'; form-action 'none'");
}

std::string ReportPage(absl::string_view data_json, ReportKind kind) {
  const bool live = kind == ReportKind::kLive;
  // No text in it can end the element that holds it.
  const std::string data = absl::StrReplaceAll(data_json, {{"<", "\\u003c"}});
  return absl::StrReplaceAll(kReportPage,
                             {{"{{POLICY}}", ReportPolicy(kind)},
                              {"{{LIVE}}", live ? "true" : "false"},
                              {"{{STYLE}}", kReportStyle},
                              {"{{DATA}}", data},
                              {"{{LIBRARY}}", kReportLibrary},
                              {"{{SCRIPT}}", kReportScript}});
}

absl::Status WriteReport(const SweepResults& results,
                         const std::string& folder) {
  return WriteFileAtomically(
      JoinPath(folder, "report.html"),
      ReportPage(ReportDataJson(results), ReportKind::kFile));
}

}  // namespace kodistil
