// What //logit_store:admin does: backup, restore, checkpoint, verify, compact,
// salvage.

#ifndef KODISTIL_LOGIT_STORE_ADMIN_H_
#define KODISTIL_LOGIT_STORE_ADMIN_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"

namespace kodistil {

struct AdminOptions {
  // Folder of the store.
  std::string store;

  // Exactly one of the next seven.
  // Folder of backups, to which one is added.
  std::string backup;
  // Folder of backups, of which the store becomes one.
  std::string restore;
  // Folder of backups to show and check.
  std::string list;
  // New folder that becomes a store like this one.
  std::string checkpoint;
  bool verify = false;
  bool compact = false;
  bool salvage = false;

  // For restore: number of the backup; 0 for the newest.
  uint32_t backup_id = 0;
  // For backup: so many backups stay, the newest ones; 0 for all.
  uint32_t keep = 0;

  absl::Status Validate() const;
};

// Does it and tells `out`. backup and checkpoint also work on a store that a
// server has open: they copy its state of this moment. restore, compact and
// salvage are UNAVAILABLE then. restore and salvage keep the files of before in
// a folder beside the store, which they name. NOT_FOUND when there is no store
// or backup, DATA_LOSS for damage found.
absl::Status RunAdmin(const AdminOptions& options, std::ostream* out);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_ADMIN_H_
