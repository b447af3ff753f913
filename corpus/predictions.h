// Which rows of a test split a model classifies as labelled, one bit a row, so
// that two models can be compared row by row.

#ifndef KODISTIL_CORPUS_PREDICTIONS_H_
#define KODISTIL_CORPUS_PREDICTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// One entry for each labelled row of the test split, by index: whether the
// model's answer is the label.
using Predictions = std::vector<bool>;

// The file's name in a student's folder.
inline constexpr char kPredictionsFile[] = "predictions.bin";

// The format of docs/report.md.
std::string SerializePredictions(const Predictions& predictions);

// DATA_LOSS for a damaged file, FAILED_PRECONDITION for a newer version, naming
// `name`.
absl::StatusOr<Predictions> ParsePredictions(absl::string_view bytes,
                                             absl::string_view name);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_PREDICTIONS_H_
