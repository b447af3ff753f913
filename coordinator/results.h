// The results table: on a terminal, and as results.json, .csv and .md.

#ifndef KODISTIL_COORDINATOR_RESULTS_H_
#define KODISTIL_COORDINATOR_RESULTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/table.h"
#include "coordinator/paired_test.h"
#include "kodistil/v1/coordinator.pb.h"
#include "logit_store/teacher_mix.h"

namespace kodistil {

struct TeacherResult {
  std::string name;
  // Or the canonical text of a mean of several.
  std::string fingerprint;
  // Of a mean: fingerprints and weights.
  TeacherMix members;
  uint64_t parameters = 0;
  // On the dataset's test split; total 0 when it has no labels.
  uint64_t correct = 0;
  uint64_t total = 0;
  int64_t rows_labelled = 0;
  // Training (where it was trained here) and labelling.
  double seconds = 0;
  // On the test split; null when they were not kept.
  std::shared_ptr<const PredictionBits> predictions;
};

struct SweepResults {
  std::string dataset;
  std::string dataset_fingerprint;
  std::vector<TeacherResult> teachers;
  std::vector<v1::Trial> trials;
  // On the test split, by trial id; earlier versions kept none.
  std::map<std::string, std::shared_ptr<const PredictionBits>> predictions;
};

// Teachers first, then trials by accuracy (ties by parameters, then by
// configuration), failed ones last with their reason.
Table ResultsTable(const SweepResults& results);

// results.json: "teachers" (name, accuracy, rows_labelled, seconds) and
// "trials" (config, parameters, bytes, accuracy, correct, total, epochs,
// train_seconds, train_rows_per_second, state, attempts, ...); accuracies are
// fractions.
std::string ResultsJson(const SweepResults& results);

// Writes results.json, results.csv and results.md into `folder`.
absl::Status WriteResults(const SweepResults& results,
                          const std::string& folder);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_RESULTS_H_
