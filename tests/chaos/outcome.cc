#include "tests/chaos/outcome.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "logit_store/logit_store_client.h"
#include "nlohmann/json.hpp"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr size_t kShortId = 12;

// Of lines such as "... trial 0123456789ab attempt 2 done: 31/40".
std::map<std::string, std::set<uint32_t>> ReadCommits(absl::string_view log) {
  std::map<std::string, std::set<uint32_t>> commits;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    for (size_t i = 0; i + 4 < words.size(); ++i) {
      uint32_t attempt = 0;
      if (words[i] == "trial" && words[i + 2] == "attempt" &&
          words[i + 4] == "done:" && absl::SimpleAtoi(words[i + 3], &attempt)) {
        commits[words[i + 1]].insert(attempt);
      }
    }
  }
  return commits;
}

absl::Status ReadStore(const std::string& address, Outcome* outcome) {
  const LogitStoreClient client(address);
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeResponse described,
                            client.Describe());
  outcome->sets = described.sets_size();
  for (const auto& set : described.sets()) {
    const v1::LogitSetId& id = set.manifest().id();
    KODISTIL_ASSIGN_OR_RETURN(const v1::MissingResponse missing,
                              client.Missing(id));
    outcome->missing += missing.count();
    KODISTIL_RETURN_IF_ERROR(client.Scan(
        id, ScanOptions(),
        [outcome](const v1::LogitRow& row, const v1::DatasetRow*) {
          outcome->rows.emplace(
              row.index(),
              std::vector<float>(row.logits().begin(), row.logits().end()));
          return absl::OkStatus();
        }));
  }
  return absl::OkStatus();
}

// "trial 0123, 4567" for what is in `a` and not, or otherwise, in `b`.
template <typename Map>
std::string KeysThatDiffer(const Map& a, const Map& b) {
  std::set<typename Map::key_type> keys;
  for (const auto& [key, value] : a) keys.insert(key);
  for (const auto& [key, value] : b) keys.insert(key);
  std::vector<std::string> differ;
  for (const auto& key : keys) {
    const auto [a_begin, a_end] = a.equal_range(key);
    const auto [b_begin, b_end] = b.equal_range(key);
    if (!std::equal(a_begin, a_end, b_begin, b_end)) {
      differ.push_back(absl::StrCat(key));
    }
  }
  const size_t all = differ.size();
  if (all > 5) differ.resize(5);
  return absl::StrCat(absl::StrJoin(differ, ", "),
                      all > 5 ? absl::StrCat(" and ", all - 5, " more") : "");
}

// Where two texts begin to differ, with what stands there.
std::string FirstDifference(const std::string& a, const std::string& b) {
  const std::vector<std::string> lines = absl::StrSplit(a, '\n');
  const std::vector<std::string> others = absl::StrSplit(b, '\n');
  size_t i = 0;
  while (i < lines.size() && i < others.size() && lines[i] == others[i]) ++i;
  return absl::StrCat("line ", i + 1, ": expected '",
                      i < lines.size() ? lines[i] : "", "', found '",
                      i < others.size() ? others[i] : "", "'");
}

}  // namespace

absl::StatusOr<Outcome> ReadOutcome(const std::string& work_dir,
                                    const std::string& coordinator_log,
                                    const std::string& store_address) {
  Outcome outcome;
  KODISTIL_ASSIGN_OR_RETURN(const std::string results,
                            ReadFile(JoinPath(work_dir, "results.json")));
  outcome.results = ComparableResults(results);
  const nlohmann::json json = nlohmann::json::parse(results);
  for (const auto& trial : json["trials"]) {
    const std::string id =
        trial["trial_id"].get<std::string>().substr(0, kShortId);
    outcome.attempts.emplace(id, trial["attempts"].get<uint32_t>());
    const std::string student =
        JoinPath(work_dir, absl::StrCat("students/", id));
    KODISTIL_ASSIGN_OR_RETURN(const std::string weights,
                              ReadFile(JoinPath(student, "model.safetensors")));
    outcome.weights[id] = Sha256Hex(weights);
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string log, ReadFile(coordinator_log));
  outcome.commits = ReadCommits(log);
  KODISTIL_RETURN_IF_ERROR(ReadStore(store_address, &outcome));
  return outcome;
}

std::vector<std::string> Differences(const Outcome& undisturbed,
                                     const Outcome& outcome) {
  std::vector<std::string> found;
  if (outcome.results != undisturbed.results) {
    found.push_back(
        absl::StrCat("another results table; ",
                     FirstDifference(undisturbed.results, outcome.results)));
  }
  if (outcome.weights != undisturbed.weights) {
    found.push_back(
        absl::StrCat("other weights of the students of trials ",
                     KeysThatDiffer(undisturbed.weights, outcome.weights)));
  }
  if (outcome.sets != undisturbed.sets || outcome.missing != 0) {
    found.push_back(absl::StrCat("the store has ", outcome.sets,
                                 " sets, expected ", undisturbed.sets,
                                 ", and misses ", outcome.missing, " rows"));
  }
  if (outcome.rows != undisturbed.rows) {
    found.push_back(absl::StrCat(
        "the store has ", outcome.rows.size(), " rows, expected ",
        undisturbed.rows.size(),
        "; others: ", KeysThatDiffer(undisturbed.rows, outcome.rows)));
  }
  for (const auto& [trial, attempt] : outcome.attempts) {
    const auto committed = outcome.commits.find(trial);
    if (outcome.attempts.count(trial) > 1) {
      found.push_back(absl::StrCat("trial ", trial, " is in the table twice"));
    }
    if (committed == outcome.commits.end()) continue;
    // The table counts leases; fencing tokens may have gaps, and so be larger.
    if (committed->second.size() != 1 || *committed->second.begin() < attempt) {
      found.push_back(absl::StrCat("trial ", trial, " ended with attempt ",
                                   attempt,
                                   ", and these attempts were committed: ",
                                   absl::StrJoin(committed->second, ", ")));
    }
  }
  for (const auto& [trial, committed] : outcome.commits) {
    if (outcome.attempts.count(trial) == 0) {
      found.push_back(absl::StrCat("trial ", trial,
                                   " was committed and is not in the table"));
    }
  }
  return found;
}

}  // namespace kodistil
