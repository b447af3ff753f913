// Opens the RocksDB database of a logit store.

#ifndef KODISTIL_LOGIT_STORE_ROCKSDB_OPEN_H_
#define KODISTIL_LOGIT_STORE_ROCKSDB_OPEN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "logit_store/rocksdb_logit_store.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"

namespace kodistil {

// Errors as RocksDbLogitStore::Open.
// `listener` may be null.
absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenRocksDb(
    const RocksDbLogitStoreOptions& options,
    const std::shared_ptr<rocksdb::EventListener>& listener);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_ROCKSDB_OPEN_H_
