#include "logit_store/rocksdb_logit_store.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "logit_store/logit_database.h"
#include "logit_store/logit_format.h"
#include "logit_store/rocksdb_range.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"

namespace kodistil {
namespace {

constexpr size_t kBatchBytes = 1 << 20;

absl::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Of the keys of a dataset's rows.
std::string TextPrefix(const RegisteredDataset& dataset) {
  return RowPrefix(dataset.info.dataset(), dataset.generation);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbLogitStore>> RocksDbLogitStore::Open(
    const RocksDbLogitStoreOptions& options) {
  KODISTIL_ASSIGN_OR_RETURN(std::unique_ptr<LogitDatabase> database,
                            LogitDatabase::Open(options));
  std::unique_ptr<RocksDbLogitStore> store(
      new RocksDbLogitStore(options, std::move(database)));
  KODISTIL_RETURN_IF_ERROR(Annotate(
      store->CheckOrWriteFormat(), absl::StrCat("logit store ", options.path)));
  return store;
}

RocksDbLogitStore::RocksDbLogitStore(const RocksDbLogitStoreOptions& options,
                                     std::unique_ptr<LogitDatabase> database)
    : options_(options), database_(std::move(database)) {}

RocksDbLogitStore::~RocksDbLogitStore() = default;

void RocksDbLogitStore::WatchHealth(HealthWatcher watcher) {
  database_->WatchHealth(std::move(watcher));
}

absl::Status RocksDbLogitStore::Health() const { return database_->health(); }

absl::StatusOr<uint64_t> RocksDbLogitStore::Property(
    const std::string& name) const {
  return database_->Property(name);
}

absl::Status RocksDbLogitStore::CheckOrWriteFormat() {
  const absl::StatusOr<std::string> record = Read(FormatKey());
  if (record.ok()) return CheckFormat(*record);
  if (record.status().code() != absl::StatusCode::kNotFound) {
    return record.status();
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db,
                            database_->Acquire());
  const std::unique_ptr<rocksdb::Iterator> all(
      db->NewIterator(rocksdb::ReadOptions()));
  all->SeekToFirst();
  KODISTIL_RETURN_IF_ERROR(FromRocksDbStatus(all->status()));
  if (all->Valid() || options_.read_only) {
    return absl::FailedPreconditionError(
        "this RocksDB database is no logit store: it has no format record");
  }
  rocksdb::WriteBatch batch;
  batch.Put(FormatKey(), SealFormat(kLogitFormatVersion));
  return database_->Write(&batch, /*sync=*/true);
}

absl::StatusOr<std::string> RocksDbLogitStore::Read(
    const std::string& key) const {
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db,
                            database_->Acquire());
  std::string record;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(FromRocksDbStatus(db->Get(rocksdb::ReadOptions(), key, &record)),
               KeyText(key)));
  return record;
}

absl::StatusOr<std::shared_ptr<const RegisteredDataset>>
RocksDbLogitStore::LoadDataset(const std::string& name) const {
  std::shared_ptr<const RegisteredDataset>& held = datasets_[name];
  if (held != nullptr) return held;
  const std::string key = DatasetKey(name);
  const absl::StatusOr<std::string> record = Read(key);
  if (record.status().code() == absl::StatusCode::kNotFound) {
    datasets_.erase(name);
    return NoSuchDataset(name);
  }
  KODISTIL_RETURN_IF_ERROR(record.status());
  KODISTIL_ASSIGN_OR_RETURN(const DatasetRecord opened,
                            OpenDataset(key, *record));
  auto dataset = std::make_shared<RegisteredDataset>();
  dataset->info = opened.info;
  dataset->generation = opened.generation;
  KODISTIL_ASSIGN_OR_RETURN(dataset->hashes, LoadHashes(name, *dataset));
  held = std::move(dataset);
  return held;
}

absl::StatusOr<std::string> RocksDbLogitStore::LoadHashes(
    const std::string& name, const RegisteredDataset& dataset) const {
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db,
                            database_->Acquire());
  std::string hashes;
  RocksDbRange blocks(db.get(), nullptr,
                      HashBlockPrefix(name, dataset.generation),
                      /*begin=*/0, /*end=*/UINT64_MAX);
  for (; blocks.Valid(); blocks.Next()) {
    KODISTIL_ASSIGN_OR_RETURN(const absl::string_view payload,
                              OpenRecord(blocks.key(), blocks.record()));
    if (blocks.index() * kHashesPerBlock * kTextHashBytes != hashes.size()) {
      break;
    }
    hashes.append(payload.data(), payload.size());
  }
  KODISTIL_RETURN_IF_ERROR(blocks.status());
  const uint64_t expected = dataset.info.row_count() * kTextHashBytes;
  if (hashes.size() == expected) return hashes;
  return absl::DataLossError(
      absl::StrCat("dataset ", name, ": expected ", expected,
                   " bytes of text hashes, found ", hashes.size()));
}

absl::StatusOr<v1::LogitSetManifest> RocksDbLogitStore::LoadManifest(
    const v1::LogitSetId& id) const {
  const std::string key = ManifestKey(id);
  const auto held = manifests_.find(key);
  if (held != manifests_.end()) return held->second;
  const absl::StatusOr<std::string> record = Read(key);
  if (record.status().code() == absl::StatusCode::kNotFound) {
    return NoSuchSet(id);
  }
  KODISTIL_RETURN_IF_ERROR(record.status());
  v1::LogitSetManifest manifest;
  KODISTIL_RETURN_IF_ERROR(OpenMessage(key, *record, &manifest));
  manifests_[key] = manifest;
  return manifest;
}

absl::StatusOr<std::shared_ptr<rocksdb::DB>> RocksDbLogitStore::Acquire()
    const {
  if (const int epoch = database_->epoch(); epoch != epoch_) {
    // A write that failed may be there after all.
    datasets_.clear();
    manifests_.clear();
    epoch_ = epoch;
  }
  return database_->Acquire();
}

std::shared_ptr<const rocksdb::Snapshot> RocksDbLogitStore::TakeSnapshot(
    const std::shared_ptr<rocksdb::DB>& db) const {
  return std::shared_ptr<const rocksdb::Snapshot>(
      db->GetSnapshot(),
      [db](const rocksdb::Snapshot* s) { db->ReleaseSnapshot(s); });
}

absl::StatusOr<RocksDbLogitStore::View> RocksDbLogitStore::ViewOf(
    const v1::LogitSetId& id) const {
  absl::MutexLock lock(&mutex_);
  View view;
  KODISTIL_ASSIGN_OR_RETURN(view.db, Acquire());
  KODISTIL_ASSIGN_OR_RETURN(view.manifest, LoadManifest(id));
  KODISTIL_ASSIGN_OR_RETURN(view.dataset, LoadDataset(id.dataset()));
  view.prefix = LogitPrefix(id);
  view.snapshot = TakeSnapshot(view.db);
  return view;
}

absl::StatusOr<v1::RegisterDatasetResponse> RocksDbLogitStore::RegisterDataset(
    const DatasetRegistration& registration, const RowSource& next) {
  KODISTIL_RETURN_IF_ERROR(ValidateRegistration(registration));
  std::shared_ptr<const RegisteredDataset> old;
  {
    absl::MutexLock lock(&mutex_);
    KODISTIL_RETURN_IF_ERROR(Acquire().status());
    absl::StatusOr<std::shared_ptr<const RegisteredDataset>> held =
        LoadDataset(registration.name);
    if (held.ok()) {
      old = *std::move(held);
    } else if (held.status().code() != absl::StatusCode::kNotFound) {
      return held.status();
    }
    KODISTIL_ASSIGN_OR_RETURN(
        const bool same,
        IsRegistered(registration, old != nullptr ? &old->info : nullptr));
    if (same) return v1::RegisterDatasetResponse();
    if (!registering_.insert(registration.name).second) {
      return absl::UnavailableError(
          absl::StrCat("dataset ", registration.name, " is being registered"));
    }
  }
  const absl::Cleanup done = [this, &registration] {
    absl::MutexLock lock(&mutex_);
    registering_.erase(registration.name);
  };
  const uint64_t old_generation = old != nullptr ? old->generation : 0;
  auto dataset = std::make_shared<RegisteredDataset>();
  dataset->generation = old_generation + 1;
  dataset->info.set_dataset(registration.name);
  dataset->info.set_dataset_fingerprint(registration.fingerprint);
  dataset->info.set_row_count(registration.row_count);
  KODISTIL_RETURN_IF_ERROR(WriteGeneration(registration, next, dataset.get()));
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(
      SwitchGeneration(registration, dataset, old_generation));
  return ChangedRows(old != nullptr ? old->hashes : "", dataset->hashes);
}

absl::Status RocksDbLogitStore::WriteGeneration(
    const DatasetRegistration& registration, const RowSource& next,
    RegisteredDataset* dataset) {
  const std::string& name = registration.name;
  const std::string rows = RowPrefix(name, dataset->generation);
  const std::string blocks = HashBlockPrefix(name, dataset->generation);
  rocksdb::WriteBatch batch;
  // What a call that did not get to its end left behind.
  batch.DeleteRange(rows, RowPrefix(name, UINT64_MAX));
  batch.DeleteRange(blocks, HashBlockPrefix(name, UINT64_MAX));
  const auto keep = [&](const v1::DatasetRow& row) -> absl::Status {
    const std::string key = AppendIndex(rows, row.index());
    batch.Put(key, SealMessage(key, row));
    if (batch.GetDataSize() < kBatchBytes) return absl::OkStatus();
    KODISTIL_RETURN_IF_ERROR(database_->Write(&batch, /*sync=*/false));
    batch.Clear();
    return absl::OkStatus();
  };
  KODISTIL_ASSIGN_OR_RETURN(dataset->hashes,
                            ReadRows(registration, next, keep));
  constexpr size_t kBlockBytes = kHashesPerBlock * kTextHashBytes;
  const absl::string_view hashes = dataset->hashes;
  for (size_t at = 0; at < hashes.size(); at += kBlockBytes) {
    const std::string key = AppendIndex(blocks, at / kBlockBytes);
    batch.Put(key, SealRecord(key, hashes.substr(at, kBlockBytes)));
  }
  return database_->Write(&batch, /*sync=*/false);
}

absl::Status RocksDbLogitStore::SwitchGeneration(
    const DatasetRegistration& registration,
    std::shared_ptr<const RegisteredDataset> dataset, uint64_t old_generation) {
  const std::string& name = registration.name;
  rocksdb::WriteBatch batch;
  const std::string key = DatasetKey(name);
  batch.Put(key, SealDataset(key, {dataset->info, dataset->generation}));
  batch.DeleteRange(RowPrefix(name, old_generation),
                    RowPrefix(name, dataset->generation));
  batch.DeleteRange(HashBlockPrefix(name, old_generation),
                    HashBlockPrefix(name, dataset->generation));
  // A synced write makes the unsynced ones before it durable too.
  KODISTIL_RETURN_IF_ERROR(database_->Write(&batch, /*sync=*/true));
  datasets_[name] = std::move(dataset);
  return absl::OkStatus();
}

absl::StatusOr<v1::DescribeDatasetResponse> RocksDbLogitStore::DescribeDataset(
    const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(Acquire().status());
  KODISTIL_ASSIGN_OR_RETURN(
      const std::shared_ptr<const RegisteredDataset> dataset,
      LoadDataset(name));
  return dataset->info;
}

absl::Status RocksDbLogitStore::ScanDataset(const std::string& name,
                                            uint64_t begin, uint64_t end,
                                            const TextVisitor& visit) const {
  View view;
  {
    absl::MutexLock lock(&mutex_);
    KODISTIL_ASSIGN_OR_RETURN(view.db, Acquire());
    KODISTIL_ASSIGN_OR_RETURN(view.dataset, LoadDataset(name));
    view.snapshot = TakeSnapshot(view.db);
  }
  end = std::min(end, view.dataset->info.row_count());
  RocksDbTextReader texts(view.db.get(), view.snapshot.get(),
                          TextPrefix(*view.dataset), begin);
  for (uint64_t index = begin; index < end; ++index) {
    KODISTIL_ASSIGN_OR_RETURN(const v1::DatasetRow* row, texts.Read(index));
    KODISTIL_RETURN_IF_ERROR(visit(*row));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::LogitSetManifest> RocksDbLogitStore::CreateSet(
    const v1::LogitSetManifest& manifest) {
  KODISTIL_RETURN_IF_ERROR(ValidateSetId(manifest.id()));
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(Acquire().status());
  KODISTIL_ASSIGN_OR_RETURN(
      const std::shared_ptr<const RegisteredDataset> dataset,
      LoadDataset(manifest.id().dataset()));
  const absl::StatusOr<v1::LogitSetManifest> held = LoadManifest(manifest.id());
  if (!held.ok() && held.status().code() != absl::StatusCode::kNotFound) {
    return held.status();
  }
  KODISTIL_ASSIGN_OR_RETURN(
      const v1::LogitSetManifest merged,
      MergeManifest(manifest, dataset->info, held.ok() ? &*held : nullptr));
  const std::string key = ManifestKey(manifest.id());
  if (!held.ok() ||
      held->dataset_fingerprint() != merged.dataset_fingerprint()) {
    rocksdb::WriteBatch batch;
    batch.Put(key, SealMessage(key, merged));
    KODISTIL_RETURN_IF_ERROR(database_->Write(&batch, /*sync=*/true));
    manifests_[key] = merged;
  }
  return merged;
}

absl::Status RocksDbLogitStore::Put(const v1::LogitSetId& id,
                                    absl::Span<const v1::LogitRow> rows) {
  KODISTIL_ASSIGN_OR_RETURN(const View view, ViewOf(id));
  KODISTIL_RETURN_IF_ERROR(CheckRows(view.manifest, *view.dataset, rows));
  if (rows.empty()) return absl::OkStatus();
  std::string key = AppendIndex(view.prefix, /*index=*/0);
  std::string record;
  rocksdb::WriteBatch batch;
  for (const v1::LogitRow& row : rows) {
    ReplaceIndex(row.index(), &key);
    SealLogits(key, row, &record);
    batch.Put(key, record);
  }
  return database_->Write(&batch, /*sync=*/true);
}

absl::StatusOr<std::vector<v1::LogitRow>> RocksDbLogitStore::Get(
    const v1::LogitSetId& id, absl::Span<const uint64_t> indices) const {
  KODISTIL_ASSIGN_OR_RETURN(const View view, ViewOf(id));
  rocksdb::ReadOptions options;
  options.snapshot = view.snapshot.get();
  std::vector<v1::LogitRow> rows(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    v1::LogitRow& row = rows[i];
    const std::string key = AppendIndex(view.prefix, indices[i]);
    std::string record;
    const absl::Status status =
        FromRocksDbStatus(view.db->Get(options, key, &record));
    if (status.ok()) {
      KODISTIL_RETURN_IF_ERROR(
          OpenLogits(key, record, view.manifest.num_classes(), &row));
    } else if (status.code() != absl::StatusCode::kNotFound) {
      return Annotate(status, KeyText(key));
    }
    const bool current = status.ok() &&
                         indices[i] < view.dataset->info.row_count() &&
                         row.text_hash() == view.dataset->HashOf(indices[i]);
    if (!current) row.Clear();
    row.set_index(indices[i]);
  }
  return rows;
}

absl::Status RocksDbLogitStore::Scan(const v1::LogitSetId& id,
                                     const ScanOptions& options,
                                     const RowVisitor& visit) const {
  KODISTIL_ASSIGN_OR_RETURN(const View view, ViewOf(id));
  KODISTIL_RETURN_IF_ERROR(
      CheckFingerprint(view.dataset->info, options.dataset_fingerprint));
  const uint64_t end = std::min(options.end, view.dataset->info.row_count());
  if (options.begin >= end) return absl::OkStatus();
  std::unique_ptr<RocksDbTextReader> texts;
  if (options.with_text) {
    texts = std::make_unique<RocksDbTextReader>(
        view.db.get(), view.snapshot.get(), TextPrefix(*view.dataset),
        options.begin);
  }
  v1::LogitRow row;
  RocksDbRange range(view.db.get(), view.snapshot.get(), view.prefix,
                     options.begin, end);
  for (; range.Valid(); range.Next()) {
    KODISTIL_RETURN_IF_ERROR(OpenLogits(range.key(), range.record(),
                                        view.manifest.num_classes(), &row));
    if (row.text_hash() != view.dataset->HashOf(row.index())) continue;
    const v1::DatasetRow* text = nullptr;
    if (texts != nullptr) {
      KODISTIL_ASSIGN_OR_RETURN(text, texts->Read(row.index()));
    }
    KODISTIL_RETURN_IF_ERROR(visit(row, text));
  }
  return Annotate(range.status(), SetText(id));
}

absl::StatusOr<v1::DescribeResponse> RocksDbLogitStore::Describe() const {
  v1::DescribeResponse response;
  response.set_format_version(kLogitFormatVersion);
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db,
                            database_->Acquire());
  const std::unique_ptr<rocksdb::Iterator> all(
      db->NewIterator(rocksdb::ReadOptions()));
  const auto at = [&all](const std::string& start) {
    return all->Valid() && absl::StartsWith(ToView(all->key()), start);
  };
  all->Seek(DatasetKeyStart());
  for (; at(DatasetKeyStart()); all->Next()) {
    KODISTIL_ASSIGN_OR_RETURN(
        DatasetRecord dataset,
        OpenDataset(ToView(all->key()), ToView(all->value())));
    *response.add_datasets() = std::move(dataset.info);
  }
  KODISTIL_RETURN_IF_ERROR(FromRocksDbStatus(all->status()));
  all->Seek(ManifestKeyStart());
  for (; at(ManifestKeyStart()); all->Next()) {
    v1::DescribeResponse::Set* set = response.add_sets();
    KODISTIL_RETURN_IF_ERROR(OpenMessage(
        ToView(all->key()), ToView(all->value()), set->mutable_manifest()));
    const v1::LogitSetId& id = set->manifest().id();
    const absl::StatusOr<v1::DescribeDatasetResponse> dataset =
        DescribeDataset(id.dataset());
    // Its registration was dropped as damaged: none counts until the next one.
    if (absl::IsNotFound(dataset.status())) continue;
    KODISTIL_RETURN_IF_ERROR(dataset.status());
    KODISTIL_ASSIGN_OR_RETURN(const v1::MissingResponse missing, Missing(id));
    set->set_rows_present(dataset->row_count() - missing.count());
  }
  KODISTIL_RETURN_IF_ERROR(FromRocksDbStatus(all->status()));
  return response;
}

}  // namespace kodistil
