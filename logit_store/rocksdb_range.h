// Reads neighbouring records of a RocksDB logit store.

#ifndef KODISTIL_LOGIT_STORE_ROCKSDB_RANGE_H_
#define KODISTIL_LOGIT_STORE_ROCKSDB_RANGE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kodistil/v1/logit_store.pb.h"
#include "rocksdb/db.h"

namespace kodistil {

// The records with `prefix` and an index in [begin, end), as of `snapshot`
// (null for now), in index order. Not thread-safe; borrows database and
// snapshot.
class RocksDbRange {
 public:
  RocksDbRange(rocksdb::DB* db, const rocksdb::Snapshot* snapshot,
               const std::string& prefix, uint64_t begin, uint64_t end);

  // False at the end and after an error, which status() tells apart.
  bool Valid() const { return iterator_->Valid(); }
  void Next() { iterator_->Next(); }
  void Seek(const std::string& key) { iterator_->Seek(key); }
  // Valid until the next move.
  absl::string_view key() const;
  absl::string_view record() const;
  uint64_t index() const;
  absl::Status status() const;

 private:
  const std::string end_;
  const rocksdb::Slice end_slice_;  // the iterator points to it
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// Registered rows, asked for in ascending order. Not thread-safe; borrows as
// RocksDbRange.
class RocksDbTextReader {
 public:
  RocksDbTextReader(rocksdb::DB* db, const rocksdb::Snapshot* snapshot,
                    const std::string& prefix, uint64_t begin)
      : prefix_(prefix), range_(db, snapshot, prefix, begin, UINT64_MAX) {}

  // Valid until the next call. DATA_LOSS when the row is damaged or gone.
  absl::StatusOr<const v1::DatasetRow*> Read(uint64_t index);

 private:
  const std::string prefix_;
  RocksDbRange range_;
  v1::DatasetRow row_;
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_ROCKSDB_RANGE_H_
