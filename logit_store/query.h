// What //logit_store:query does, on any logit store.

#ifndef KODISTIL_LOGIT_STORE_QUERY_H_
#define KODISTIL_LOGIT_STORE_QUERY_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "logit_store/logit_store.h"
#include "logit_store/query_rows.h"

namespace kodistil {

struct QueryOptions {
  // Beginning of the teacher's fingerprint, or its name; empty for any.
  std::string teacher;
  // Name of the dataset; empty for any.
  std::string dataset;

  // At most one of the next five; none of them and no row asked for is
  // describe.
  bool describe = false;
  bool missing = false;
  bool verify = false;
  // File to which the rows go: .csv or .jsonl.
  std::string export_file;
  // File from which logits come; see import_logits.h.
  std::string import_file;
  // Name of the teacher of an import.
  std::string teacher_name = "imported";

  // Rows: "42", "100-120" (both included), "1,5,7-9"; empty for all.
  std::string index;
  RowFilter filter;
  // Rows at most, after the filters; 0 for all.
  int64_t limit = 0;
  // table, json or csv.
  std::string output = "table";

  absl::Status Validate() const;
  bool WantsRows() const;
};

// Writes the answer to `out`. NOT_FOUND when there is no such set or row,
// INVALID_ARGUMENT (listing the choices) when several sets match, DATA_LOSS
// when verify finds damage.
absl::Status RunQuery(const QueryOptions& options, LogitStore* store,
                      std::ostream* out);

// "42", "100-120", "1,5,7-9" as [begin, end) ranges in the order given.
absl::StatusOr<std::vector<v1::IndexRange>> ParseIndices(
    const std::string& text);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_QUERY_H_
