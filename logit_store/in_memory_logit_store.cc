#include "logit_store/in_memory_logit_store.h"

#include <algorithm>

#include "base/status_macros.h"
#include "logit_store/logit_format.h"

namespace kodistil {

absl::StatusOr<const InMemoryLogitStore::StoredSet*>
InMemoryLogitStore::FindSet(const v1::LogitSetId& id) const {
  const auto found = sets_.find({id.teacher_fingerprint(), id.dataset()});
  if (found == sets_.end()) return NoSuchSet(id);
  return &found->second;
}

std::vector<const v1::LogitRow*> InMemoryLogitStore::CurrentRows(
    const StoredSet& set, uint64_t begin, uint64_t end) const {
  const RegisteredDataset& dataset =
      datasets_.at(set.manifest.id().dataset()).registered;
  std::vector<const v1::LogitRow*> rows;
  end = std::min(end, dataset.info.row_count());
  for (auto at = set.rows.lower_bound(begin);
       at != set.rows.end() && at->first < end; ++at) {
    if (at->second.text_hash() == dataset.HashOf(at->first)) {
      rows.push_back(&at->second);
    }
  }
  return rows;
}

absl::StatusOr<v1::RegisterDatasetResponse> InMemoryLogitStore::RegisterDataset(
    const DatasetRegistration& registration, const RowSource& next) {
  KODISTIL_RETURN_IF_ERROR(ValidateRegistration(registration));
  StoredDataset dataset;
  const auto is_registered = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto held = datasets_.find(registration.name);
    return IsRegistered(registration, held != datasets_.end()
                                          ? &held->second.registered.info
                                          : nullptr);
  };
  {
    absl::MutexLock lock(&mutex_);
    KODISTIL_ASSIGN_OR_RETURN(const bool same, is_registered());
    if (same) return v1::RegisterDatasetResponse();
  }
  KODISTIL_ASSIGN_OR_RETURN(
      dataset.registered.hashes,
      ReadRows(registration, next, [&dataset](const v1::DatasetRow& row) {
        dataset.rows.push_back(row);
        return absl::OkStatus();
      }));
  dataset.registered.info.set_dataset(registration.name);
  dataset.registered.info.set_dataset_fingerprint(registration.fingerprint);
  dataset.registered.info.set_row_count(registration.row_count);
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(is_registered().status());
  StoredDataset& held = datasets_[registration.name];
  std::swap(held, dataset);
  return ChangedRows(dataset.registered.hashes, held.registered.hashes);
}

absl::StatusOr<v1::DescribeDatasetResponse> InMemoryLogitStore::DescribeDataset(
    const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  const auto found = datasets_.find(name);
  if (found == datasets_.end()) return NoSuchDataset(name);
  return found->second.registered.info;
}

absl::Status InMemoryLogitStore::ScanDataset(const std::string& name,
                                             uint64_t begin, uint64_t end,
                                             const TextVisitor& visit) const {
  std::vector<v1::DatasetRow> rows;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = datasets_.find(name);
    if (found == datasets_.end()) return NoSuchDataset(name);
    rows = found->second.rows;
  }
  for (uint64_t i = begin; i < end && i < rows.size(); ++i) {
    KODISTIL_RETURN_IF_ERROR(visit(rows[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::LogitSetManifest> InMemoryLogitStore::CreateSet(
    const v1::LogitSetManifest& manifest) {
  const v1::LogitSetId& id = manifest.id();
  KODISTIL_RETURN_IF_ERROR(ValidateSetId(id));
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeDatasetResponse dataset,
                            DescribeDataset(id.dataset()));
  absl::MutexLock lock(&mutex_);
  const SetKey key(id.teacher_fingerprint(), id.dataset());
  const auto held = sets_.find(key);
  KODISTIL_ASSIGN_OR_RETURN(
      const v1::LogitSetManifest merged,
      MergeManifest(manifest, dataset,
                    held != sets_.end() ? &held->second.manifest : nullptr));
  sets_[key].manifest = merged;
  return merged;
}

absl::Status InMemoryLogitStore::Put(const v1::LogitSetId& id,
                                     absl::Span<const v1::LogitRow> rows) {
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(FindSet(id).status());
  StoredSet& set = sets_[{id.teacher_fingerprint(), id.dataset()}];
  KODISTIL_RETURN_IF_ERROR(
      CheckRows(set.manifest, datasets_.at(id.dataset()).registered, rows));
  for (const v1::LogitRow& row : rows) set.rows[row.index()] = row;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::LogitRow>> InMemoryLogitStore::Get(
    const v1::LogitSetId& id, absl::Span<const uint64_t> indices) const {
  absl::MutexLock lock(&mutex_);
  KODISTIL_ASSIGN_OR_RETURN(const StoredSet* set, FindSet(id));
  std::vector<v1::LogitRow> rows(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    for (const v1::LogitRow* row :
         CurrentRows(*set, indices[i], indices[i] + 1)) {
      rows[i] = *row;
    }
    rows[i].set_index(indices[i]);
  }
  return rows;
}

absl::Status InMemoryLogitStore::Scan(const v1::LogitSetId& id,
                                      const ScanOptions& options,
                                      const RowVisitor& visit) const {
  // Copies, so that `visit` runs without the lock.
  std::vector<std::pair<v1::LogitRow, v1::DatasetRow>> found;
  {
    absl::MutexLock lock(&mutex_);
    KODISTIL_ASSIGN_OR_RETURN(const StoredSet* set, FindSet(id));
    const StoredDataset& dataset = datasets_.at(id.dataset());
    KODISTIL_RETURN_IF_ERROR(
        CheckFingerprint(dataset.registered.info, options.dataset_fingerprint));
    for (const v1::LogitRow* row :
         CurrentRows(*set, options.begin, options.end)) {
      found.emplace_back(*row, dataset.rows[row->index()]);
    }
  }
  for (const auto& [row, text] : found) {
    KODISTIL_RETURN_IF_ERROR(visit(row, options.with_text ? &text : nullptr));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::MissingResponse> InMemoryLogitStore::Missing(
    const v1::LogitSetId& id) const {
  absl::MutexLock lock(&mutex_);
  KODISTIL_ASSIGN_OR_RETURN(const StoredSet* set, FindSet(id));
  v1::MissingResponse missing;
  uint64_t next = 0;
  for (const v1::LogitRow* row : CurrentRows(*set, 0, UINT64_MAX)) {
    AddMissing(next, row->index(), &missing);
    next = row->index() + 1;
  }
  AddMissing(next, datasets_.at(id.dataset()).registered.info.row_count(),
             &missing);
  return missing;
}

absl::StatusOr<v1::DescribeResponse> InMemoryLogitStore::Describe() const {
  absl::MutexLock lock(&mutex_);
  v1::DescribeResponse response;
  response.set_format_version(kLogitFormatVersion);
  for (const auto& [name, dataset] : datasets_) {
    *response.add_datasets() = dataset.registered.info;
  }
  for (const auto& [key, set] : sets_) {
    v1::DescribeResponse::Set* described = response.add_sets();
    *described->mutable_manifest() = set.manifest;
    described->set_rows_present(CurrentRows(set, 0, UINT64_MAX).size());
  }
  return response;
}

absl::StatusOr<v1::VerifyResponse> InMemoryLogitStore::Verify(
    const v1::LogitSetId& id) const {
  absl::MutexLock lock(&mutex_);
  KODISTIL_ASSIGN_OR_RETURN(const StoredSet* set, FindSet(id));
  v1::VerifyResponse response;
  response.set_checked(set->rows.size());
  return response;
}

}  // namespace kodistil
