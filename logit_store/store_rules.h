// The rules that every logit store applies before it keeps anything.

#ifndef KODISTIL_LOGIT_STORE_STORE_RULES_H_
#define KODISTIL_LOGIT_STORE_STORE_RULES_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kodistil/v1/logit_store.pb.h"
#include "logit_store/logit_store.h"

namespace kodistil {

// A registered dataset as far as logits are concerned. Plain data.
struct RegisteredDataset {
  v1::DescribeDatasetResponse info;
  uint64_t generation = 0;
  std::string hashes;  // 16 bytes a row

  absl::string_view HashOf(uint64_t index) const;
};

// INVALID_ARGUMENT naming the field and what it holds.
absl::Status ValidateSetId(const v1::LogitSetId& id);
absl::Status ValidateRegistration(const DatasetRegistration& registration);

// Whether `registration` is there already; FAILED_PRECONDITION when `held`
// (null for nothing) is not what it expects.
absl::StatusOr<bool> IsRegistered(const DatasetRegistration& registration,
                                  const v1::DescribeDatasetResponse* held);

// Reads all rows from `next`, gives each to `keep`, and returns their text
// hashes. INVALID_ARGUMENT for rows that are out of order, empty, too few or
// too many.
absl::StatusOr<std::string> ReadRows(
    const DatasetRegistration& registration, const RowSource& next,
    const std::function<absl::Status(const v1::DatasetRow&)>& keep);

// The rows that are in both and whose hashes differ.
v1::RegisterDatasetResponse ChangedRows(absl::string_view old_hashes,
                                        absl::string_view new_hashes);

// The manifest to keep: `held` (null for none) moved to the dataset, or
// `wanted` with the time and the build.
absl::StatusOr<v1::LogitSetManifest> MergeManifest(
    const v1::LogitSetManifest& wanted,
    const v1::DescribeDatasetResponse& dataset,
    const v1::LogitSetManifest* held);

// Whether rows may be put.
absl::Status CheckRows(const v1::LogitSetManifest& manifest,
                       const RegisteredDataset& dataset,
                       absl::Span<const v1::LogitRow> rows);

// FAILED_PRECONDITION unless `fingerprint` is empty or the dataset's.
absl::Status CheckFingerprint(const v1::DescribeDatasetResponse& dataset,
                              const std::string& fingerprint);

// Appends an index to the ranges and counts it.
void AddMissing(uint64_t begin, uint64_t end, v1::MissingResponse* missing);

absl::Status NoSuchSet(const v1::LogitSetId& id);
absl::Status NoSuchDataset(const std::string& name);
// "set nsmc of teacher 0123abcd".
std::string SetText(const v1::LogitSetId& id);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_STORE_RULES_H_
