// What RocksDbLogitStore does to find gaps and damage.

#include "absl/strings/str_cat.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "logit_store/logit_database.h"
#include "logit_store/logit_format.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/rocksdb_range.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"

namespace kodistil {
namespace {

constexpr uint64_t kMaxListed = 100;

}  // namespace

absl::StatusOr<v1::MissingResponse> RocksDbLogitStore::Missing(
    const v1::LogitSetId& id) const {
  KODISTIL_ASSIGN_OR_RETURN(const View view, ViewOf(id));
  v1::MissingResponse missing;
  uint64_t next = 0;  // rows below it are in `missing` or there
  const uint64_t end = view.dataset->info.row_count();
  RocksDbRange range(view.db.get(), view.snapshot.get(), view.prefix,
                     /*begin=*/0, end);
  for (; range.Valid(); range.Next()) {
    const absl::StatusOr<absl::string_view> payload =
        OpenRecord(range.key(), range.record());
    if (payload.ok() &&
        TextHashOf(*payload) == view.dataset->HashOf(range.index())) {
      AddMissing(next, range.index(), &missing);
      next = range.index() + 1;
    }
  }
  KODISTIL_RETURN_IF_ERROR(Annotate(range.status(), SetText(id)));
  AddMissing(next, end, &missing);
  return missing;
}

absl::StatusOr<v1::VerifyResponse> RocksDbLogitStore::Verify(
    const v1::LogitSetId& id) const {
  KODISTIL_ASSIGN_OR_RETURN(const View view, ViewOf(id));
  const RegisteredDataset& dataset = *view.dataset;
  v1::VerifyResponse response;
  v1::LogitRow logits;
  KODISTIL_RETURN_IF_ERROR(VerifyRange(
      view, view.prefix, /*complete=*/false,
      [&](const std::string& key, absl::string_view record) {
        response.set_checked(response.checked() + 1);
        return OpenLogits(key, record, view.manifest.num_classes(), &logits)
            .ok();
      },
      &response));
  v1::DatasetRow row;
  KODISTIL_RETURN_IF_ERROR(VerifyRange(
      view, RowPrefix(dataset.info.dataset(), dataset.generation),
      /*complete=*/true,
      [&](const std::string& key, absl::string_view record) {
        return OpenMessage(key, record, &row).ok() &&
               TextHash(row.text(), row.second_text()) ==
                   dataset.HashOf(IndexOfKey(key));
      },
      &response));
  KODISTIL_RETURN_IF_ERROR(LoadHashes(id.dataset(), dataset).status());
  if (response.corrupt_count() > 0) return response;
  // Files hold more than this set: other sets, indices of the blocks.
  KODISTIL_RETURN_IF_ERROR(
      Annotate(FromRocksDbStatus(view.db->VerifyChecksum()),
               absl::StrCat("logit store ", options_.path)));
  return response;
}

absl::Status RocksDbLogitStore::VerifyRange(
    const View& view, const std::string& prefix, bool complete,
    const std::function<bool(const std::string& key, absl::string_view record)>&
        good,
    v1::VerifyResponse* response) const {
  const auto report = [&](uint64_t index) {
    if (response->corrupt_count() < kMaxListed) response->add_corrupt(index);
    response->set_corrupt_count(response->corrupt_count() + 1);
  };
  const uint64_t end = view.dataset->info.row_count();
  uint64_t next = 0;
  RocksDbRange range(view.db.get(), view.snapshot.get(), prefix, /*begin=*/0,
                     end);
  for (; range.Valid(); range.Next()) {
    for (; complete && next < range.index(); ++next) report(next);
    if (!good(std::string(range.key()), range.record())) report(range.index());
    next = range.index() + 1;
  }
  if (range.status().code() != absl::StatusCode::kDataLoss) {
    for (; complete && range.status().ok() && next < end; ++next) report(next);
    return range.status();
  }
  // The iterator stops at a damaged block: row by row from there.
  rocksdb::ReadOptions options;
  options.snapshot = view.snapshot.get();
  std::string record;
  for (; next < end; ++next) {
    const std::string key = AppendIndex(prefix, next);
    const absl::Status status =
        FromRocksDbStatus(view.db->Get(options, key, &record));
    const bool gone = complete && absl::IsNotFound(status);
    if (status.ok() ? !good(key, record) : absl::IsDataLoss(status) || gone) {
      report(next);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>>
RocksDbLogitStore::DropDamagedDatasets() {
  std::vector<std::string> names;
  rocksdb::WriteBatch batch;
  KODISTIL_ASSIGN_OR_RETURN(const std::shared_ptr<rocksdb::DB> db,
                            database_->Acquire());
  const std::unique_ptr<rocksdb::Iterator> all(
      db->NewIterator(rocksdb::ReadOptions()));
  const std::string start = DatasetKeyStart();
  for (all->Seek(start); all->Valid() && all->key().starts_with(start);
       all->Next()) {
    const std::string key = all->key().ToString();
    const auto record = OpenDataset(key, all->value().ToString());
    absl::Status status = record.status();
    if (status.ok()) {
      status = ScanDataset(record->info.dataset(), /*begin=*/0,
                           /*end=*/UINT64_MAX,
                           [](const auto&) { return absl::OkStatus(); });
    }
    if (status.ok()) continue;
    if (!absl::IsDataLoss(status)) return status;
    batch.Delete(key);
    names.push_back(record.ok() ? record->info.dataset() : KeyText(key));
  }
  KODISTIL_RETURN_IF_ERROR(FromRocksDbStatus(all->status()));
  if (names.empty()) return names;
  KODISTIL_RETURN_IF_ERROR(database_->Write(&batch, /*sync=*/true));
  absl::MutexLock lock(&mutex_);
  datasets_.clear();
  return names;
}

}  // namespace kodistil
