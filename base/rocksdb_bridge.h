// The one place where RocksDB's status becomes absl's, and its log ours.

#ifndef KODISTIL_BASE_ROCKSDB_BRIDGE_H_
#define KODISTIL_BASE_ROCKSDB_BRIDGE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "rocksdb/env.h"
#include "rocksdb/status.h"

namespace kodistil {

// NotFound -> NOT_FOUND, Corruption -> DATA_LOSS, Busy, TryAgain, Incomplete
// and a held lock -> UNAVAILABLE, no space -> RESOURCE_EXHAUSTED,
// InvalidArgument -> INVALID_ARGUMENT, everything else -> INTERNAL.
absl::Status FromRocksDbStatus(const rocksdb::Status& status);

// Where the file CURRENT is gone, RocksDB makes a new database and deletes the
// tables of the old one. DATA_LOSS, naming the folder, when `path` has tables
// or a log without it; OK for a database and for a folder that has none.
absl::Status CheckCurrentFile(const std::string& path);

// For Options::info_log: errors go to glog as warnings, the rest at --v=1. The
// file LOG that RocksDB writes without it ends the process (an assertion in
// Debian's 7.8) when the disk is full.
std::shared_ptr<rocksdb::Logger> NewRocksDbLogger();

}  // namespace kodistil

#endif  // KODISTIL_BASE_ROCKSDB_BRIDGE_H_
