// Small datasets and logits for the tests of logit stores.

#ifndef KODISTIL_LOGIT_STORE_STORE_TESTING_H_
#define KODISTIL_LOGIT_STORE_STORE_TESTING_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "corpus/dataset.h"
#include "logit_store/logit_store.h"

namespace kodistil {

inline constexpr char kTeacher[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
inline constexpr char kOtherTeacher[] =
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

// The dataset "films" with these texts; the label is the parity of a text's
// length.
Dataset Texts(const std::vector<std::string>& texts);
// "영화 0", "영화 1", ...
Dataset ManyTexts(int rows);

v1::DatasetRow ProtoRow(const Dataset& dataset, uint64_t index);
// The first `count` rows; borrows the dataset.
RowSource RowsOf(const Dataset& dataset, uint64_t count);

// kTeacher's set of "films".
v1::LogitSetId SetId(const std::string& teacher = kTeacher);
v1::LogitSetManifest ManifestOf(const Dataset& dataset, int classes = 2,
                                const std::string& teacher = kTeacher);
v1::LogitRow LogitsOf(const Dataset& dataset, uint64_t index,
                      const std::vector<float>& logits);

absl::StatusOr<v1::RegisterDatasetResponse> RegisterRows(
    const Dataset& dataset, const std::string& expected, LogitStore* store);
// Row i gets {i, -i}.
absl::Status PutRows(const Dataset& dataset,
                     const std::vector<uint64_t>& indices, LogitStore* store,
                     const std::string& teacher = kTeacher);
// Registers the dataset, creates kTeacher's set, and puts the rows.
absl::Status Fill(const Dataset& dataset, const std::vector<uint64_t>& indices,
                  LogitStore* store);

// [begin, end) pairs of what kTeacher's set misses.
absl::StatusOr<std::vector<std::pair<uint64_t, uint64_t>>> MissingRanges(
    const LogitStore& store);
// Index and first logit of what a scan of kTeacher's set finds.
absl::StatusOr<std::vector<std::pair<uint64_t, float>>> ScanRows(
    const LogitStore& store, const ScanOptions& options = {});

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_STORE_TESTING_H_
