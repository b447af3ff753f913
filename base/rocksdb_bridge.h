// The one place where RocksDB's status becomes absl's, and its log ours.

#ifndef KODISTIL_BASE_ROCKSDB_BRIDGE_H_
#define KODISTIL_BASE_ROCKSDB_BRIDGE_H_

#include <memory>

#include "absl/status/status.h"
#include "rocksdb/env.h"
#include "rocksdb/status.h"

namespace kodistil {

// NotFound -> NOT_FOUND, Corruption -> DATA_LOSS, Busy, TryAgain, Incomplete
// and a held lock -> UNAVAILABLE, no space -> RESOURCE_EXHAUSTED,
// InvalidArgument -> INVALID_ARGUMENT, everything else -> INTERNAL.
absl::Status FromRocksDbStatus(const rocksdb::Status& status);

// For Options::info_log: errors go to glog as warnings, the rest at --v=1. The
// file LOG that RocksDB writes without it ends the process (an assertion in
// Debian's 7.8) when the disk is full.
std::shared_ptr<rocksdb::Logger> NewRocksDbLogger();

}  // namespace kodistil

#endif  // KODISTIL_BASE_ROCKSDB_BRIDGE_H_
