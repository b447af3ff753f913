// Rows of logits for people and scripts: what is derived from them, filters,
// and the forms they are written in.

#ifndef KODISTIL_LOGIT_STORE_QUERY_ROWS_H_
#define KODISTIL_LOGIT_STORE_QUERY_ROWS_H_

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kodistil/v1/logit_store.pb.h"

namespace kodistil {

// A row with what follows from its logits.
struct QueryRow {
  v1::LogitRow logits;
  v1::DatasetRow text;
  std::vector<float> probabilities;  // softmax of the logits
  int predicted = 0;                 // class of the largest logit
  // Largest probability less the second largest, 0 to 1.
  float margin = 0;
  // Of the probabilities, in nats, 0 to ln(classes).
  float entropy = 0;
};

QueryRow MakeQueryRow(const v1::LogitRow& logits, const v1::DatasetRow& text);

struct RowFilter {
  double max_margin = 1;
  double min_entropy = 0;
  // Rows with a label that is not the predicted class.
  bool disagrees_with_label = false;

  bool Accepts(const QueryRow& row) const;
  absl::Status Validate() const;
};

// Writes rows one by one in some form.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual void Add(const QueryRow& row) = 0;
  // Call once, last.
  virtual void Finish() = 0;

  // `form`: table, csv, json (one array) or jsonl (an object a line).
  // INVALID_ARGUMENT for another one. `out` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<RowWriter>> Create(
      const std::string& form, uint32_t num_classes, std::ostream* out);
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_QUERY_ROWS_H_
