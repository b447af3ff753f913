// Compares a network with logits computed elsewhere, as by Hugging Face.

#ifndef KODISTIL_TEACHER_SERVICE_CHECK_H_
#define KODISTIL_TEACHER_SERVICE_CHECK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// A batch and the logits it should give.
struct CheckCase {
  std::string name;
  // Trailing padding is set as the mask has it, for networks that read it.
  TokenBatch batch;
  std::vector<float> logits;  // [rows, classes]
  // Of a case with gradients; empty otherwise.
  std::vector<int64_t> labels;  // [rows]
  double loss = 0;              // mean cross entropy
  // Norm of the loss' gradient by each parameter; -1 for one without.
  std::map<std::string, double> gradient_norms;
};

// The largest absolute difference of a logit; infinite when one is not a
// number. `neighbour` is 0 where no longer neighbour fits into the model.
struct CaseDifference {
  std::string name;
  int64_t rows = 0;
  double batch = 0;      // as given
  double alone = 0;      // each row alone, without its padding
  double neighbour = 0;  // each row beside one up to four times as long

  double largest() const;
};

struct CheckReport {
  std::vector<CaseDifference> cases;
  int64_t rows = 0;
  double largest = 0;
};

// A JSON array of objects with `name`, `input_ids` [rows][columns],
// `attention_mask` (all 1 when absent), `token_type_ids` (all 0 when absent)
// and `logits` [rows][classes]; with `grad_l2` (norms by name, null for none)
// also `labels` [rows] and `loss`. Other fields are ignored. DATA_LOSS when it
// is not JSON; INVALID_ARGUMENT names `source`, the case and the field.
absl::StatusOr<std::vector<CheckCase>> ParseCheckCases(
    absl::string_view json, const std::string& source);

// Errors of TokenNetwork::Forward, and INVALID_ARGUMENT when the number of
// classes differs, name the case.
absl::StatusOr<CheckReport> CheckNetwork(const std::vector<CheckCase>& cases,
                                         TokenNetwork* network);

// A line a case, then "N cases, R rows, largest difference X (tolerance Y): OK"
// or "... FAILED".
std::string FormatReport(const CheckReport& report, double tolerance);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_CHECK_H_
