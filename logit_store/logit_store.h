// Where logits live: sets of them by teacher and dataset, and the rows of the
// datasets that they belong to.

#ifndef KODISTIL_LOGIT_STORE_LOGIT_STORE_H_
#define KODISTIL_LOGIT_STORE_LOGIT_STORE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kodistil/v1/logit_store.pb.h"

namespace kodistil {

// What a dataset's rows are registered under.
struct DatasetRegistration {
  std::string name;
  std::string fingerprint;  // 64 hexadecimal digits
  uint64_t row_count = 0;
  // What the caller believes is registered under this name; empty for nothing.
  std::string expected_fingerprint;
};

// Fills in the next row, in index order; false at the end.
using RowSource = std::function<absl::StatusOr<bool>(v1::DatasetRow* row)>;

// A row found by a scan; `text` is null unless texts were asked for. An error
// ends the scan, which returns it.
using RowVisitor = std::function<absl::Status(const v1::LogitRow& row,
                                              const v1::DatasetRow* text)>;

// A row of a dataset found by a scan.
using TextVisitor = std::function<absl::Status(const v1::DatasetRow& row)>;

struct ScanOptions {
  // [begin, end) of row indices.
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;
  // When not empty: FAILED_PRECONDITION unless the dataset has it.
  std::string dataset_fingerprint;
  // Adds the registered text, label and split of every row.
  bool with_text = false;
};

// Rows are current when their text hash is that of the registered row; the
// others count as missing and are never returned. Every implementation is
// thread-safe. All calls are idempotent. Unknown sets and datasets are
// NOT_FOUND, a fingerprint or a number of classes that differs is
// FAILED_PRECONDITION naming both sides, a failed checksum is DATA_LOSS.
class LogitStore {
 public:
  virtual ~LogitStore() = default;

  // Replaces the rows of a dataset in one step: readers see the old rows or the
  // new. Does nothing, without calling `next`, when the same fingerprint is
  // registered. FAILED_PRECONDITION when another fingerprint than
  // expected_fingerprint is; INVALID_ARGUMENT for rows that are out of order,
  // too few or too many; UNAVAILABLE while another call registers the same
  // name.
  virtual absl::StatusOr<v1::RegisterDatasetResponse> RegisterDataset(
      const DatasetRegistration& registration, const RowSource& next) = 0;
  virtual absl::StatusOr<v1::DescribeDatasetResponse> DescribeDataset(
      const std::string& name) const = 0;

  // The registered rows [begin, end), in index order.
  virtual absl::Status ScanDataset(const std::string& name, uint64_t begin,
                                   uint64_t end,
                                   const TextVisitor& visit) const = 0;

  // Creates a set or finds it; after its dataset was registered anew, moves it
  // to the new fingerprint.
  virtual absl::StatusOr<v1::LogitSetManifest> CreateSet(
      const v1::LogitSetManifest& manifest) = 0;

  // Keeps all rows or none; they are durable on return. INVALID_ARGUMENT for a
  // wrong number of classes, a value that is not finite, or an index outside
  // the dataset; FAILED_PRECONDITION for logits of another text than the
  // registered one.
  virtual absl::Status Put(const v1::LogitSetId& id,
                           absl::Span<const v1::LogitRow> rows) = 0;
  // In the order asked; a row without current logits has none.
  virtual absl::StatusOr<std::vector<v1::LogitRow>> Get(
      const v1::LogitSetId& id, absl::Span<const uint64_t> indices) const = 0;
  // In index order, from one moment's state; rows without current logits are
  // left out.
  virtual absl::Status Scan(const v1::LogitSetId& id,
                            const ScanOptions& options,
                            const RowVisitor& visit) const = 0;
  // Damaged records count as missing, so that labelling heals them.
  virtual absl::StatusOr<v1::MissingResponse> Missing(
      const v1::LogitSetId& id) const = 0;
  virtual absl::StatusOr<v1::DescribeResponse> Describe() const = 0;
  // Reads every record of a set and of its dataset.
  virtual absl::StatusOr<v1::VerifyResponse> Verify(
      const v1::LogitSetId& id) const = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_LOGIT_STORE_H_
