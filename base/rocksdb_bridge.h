// The one place where RocksDB's status becomes absl's.

#ifndef KODISTIL_BASE_ROCKSDB_BRIDGE_H_
#define KODISTIL_BASE_ROCKSDB_BRIDGE_H_

#include "absl/status/status.h"
#include "rocksdb/status.h"

namespace kodistil {

// NotFound -> NOT_FOUND, Corruption -> DATA_LOSS, Busy, TryAgain, Incomplete
// and a held lock -> UNAVAILABLE, no space -> RESOURCE_EXHAUSTED,
// InvalidArgument -> INVALID_ARGUMENT, everything else -> INTERNAL.
absl::Status FromRocksDbStatus(const rocksdb::Status& status);

}  // namespace kodistil

#endif  // KODISTIL_BASE_ROCKSDB_BRIDGE_H_
