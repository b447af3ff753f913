// A logit store for unit tests: nothing survives the object.

#ifndef KODISTIL_LOGIT_STORE_IN_MEMORY_LOGIT_STORE_H_
#define KODISTIL_LOGIT_STORE_IN_MEMORY_LOGIT_STORE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "logit_store/logit_store.h"
#include "logit_store/store_rules.h"

namespace kodistil {

// Thread-safe. Tests derive stores that fail from it.
class InMemoryLogitStore : public LogitStore {
 public:
  absl::StatusOr<v1::RegisterDatasetResponse> RegisterDataset(
      const DatasetRegistration& registration, const RowSource& next) override;
  absl::StatusOr<v1::DescribeDatasetResponse> DescribeDataset(
      const std::string& name) const override;
  absl::Status ScanDataset(const std::string& name, uint64_t begin,
                           uint64_t end,
                           const TextVisitor& visit) const override;
  absl::StatusOr<v1::LogitSetManifest> CreateSet(
      const v1::LogitSetManifest& manifest) override;
  absl::Status Put(const v1::LogitSetId& id,
                   absl::Span<const v1::LogitRow> rows) override;
  absl::StatusOr<std::vector<v1::LogitRow>> Get(
      const v1::LogitSetId& id,
      absl::Span<const uint64_t> indices) const override;
  absl::Status Scan(const v1::LogitSetId& id, const ScanOptions& options,
                    const RowVisitor& visit) const override;
  absl::StatusOr<v1::MissingResponse> Missing(
      const v1::LogitSetId& id) const override;
  absl::StatusOr<v1::DescribeResponse> Describe() const override;
  absl::StatusOr<v1::VerifyResponse> Verify(
      const v1::LogitSetId& id) const override;

 private:
  struct StoredDataset {
    RegisteredDataset registered;
    std::vector<v1::DatasetRow> rows;
  };
  struct StoredSet {
    v1::LogitSetManifest manifest;
    std::map<uint64_t, v1::LogitRow> rows;
  };
  // Teacher's fingerprint and dataset.
  using SetKey = std::pair<std::string, std::string>;

  absl::StatusOr<const StoredSet*> FindSet(const v1::LogitSetId& id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Rows of a set that are current, of the indices in [begin, end).
  std::vector<const v1::LogitRow*> CurrentRows(const StoredSet& set,
                                               uint64_t begin,
                                               uint64_t end) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<std::string, StoredDataset> datasets_ ABSL_GUARDED_BY(mutex_);
  std::map<SetKey, StoredSet> sets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_IN_MEMORY_LOGIT_STORE_H_
