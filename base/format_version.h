// Versions of what lies on disk: an older one is read, a newer one is refused
// by name.

#ifndef KODISTIL_BASE_FORMAT_VERSION_H_
#define KODISTIL_BASE_FORMAT_VERSION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// A format of ours and the versions that this program reads; it writes the
// newest. docs/upgrades.md is the list of all.
struct DiskFormat {
  absl::string_view name;  // "logit snapshot"
  uint64_t oldest = 1;
  uint64_t newest = 1;
  // What to do about a newer one besides using the program that wrote it; empty
  // for nothing. "or delete it: it is fetched again".
  absl::string_view remedy;
};

// OK when this program reads version `found` of `format`; else
// FAILED_PRECONDITION with `where` (a path), both versions and what to do.
absl::Status CheckFormatVersion(const DiskFormat& format,
                                absl::string_view where, uint64_t found);

}  // namespace kodistil

#endif  // KODISTIL_BASE_FORMAT_VERSION_H_
