#include "logit_store/rocksdb_range.h"

#include "absl/strings/str_cat.h"
#include "base/rocksdb_bridge.h"
#include "base/status_macros.h"
#include "logit_store/logit_format.h"

namespace kodistil {
namespace {

absl::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Behind the last key when `end` is the largest number.
std::string EndKey(const std::string& prefix, uint64_t end) {
  const std::string key = AppendIndex(prefix, end);
  return end == UINT64_MAX ? key + std::string(1, '\0') : key;
}

}  // namespace

RocksDbRange::RocksDbRange(rocksdb::DB* db, const rocksdb::Snapshot* snapshot,
                           const std::string& prefix, uint64_t begin,
                           uint64_t end)
    : end_(EndKey(prefix, end)), end_slice_(end_) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.iterate_upper_bound = &end_slice_;
  options.fill_cache = false;
  iterator_.reset(db->NewIterator(options));
  iterator_->Seek(AppendIndex(prefix, begin));
}

absl::string_view RocksDbRange::key() const { return ToView(iterator_->key()); }

absl::string_view RocksDbRange::record() const {
  return ToView(iterator_->value());
}

uint64_t RocksDbRange::index() const { return IndexOfKey(key()); }

absl::Status RocksDbRange::status() const {
  return FromRocksDbStatus(iterator_->status());
}

absl::StatusOr<const v1::DatasetRow*> RocksDbTextReader::Read(uint64_t index) {
  const std::string key = AppendIndex(prefix_, index);
  // Neighbours without a search.
  if (range_.Valid() && range_.index() + 1 == index) range_.Next();
  if (range_.Valid() && range_.index() != index) range_.Seek(key);
  KODISTIL_RETURN_IF_ERROR(range_.status());
  if (!range_.Valid() || range_.index() != index) {
    return absl::DataLossError(absl::StrCat(KeyText(key), " is gone"));
  }
  KODISTIL_RETURN_IF_ERROR(OpenMessage(key, range_.record(), &row_));
  return &row_;
}

}  // namespace kodistil
