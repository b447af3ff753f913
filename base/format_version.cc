#include "base/format_version.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace kodistil {

absl::Status CheckFormatVersion(const DiskFormat& format,
                                absl::string_view where, uint64_t found) {
  if (found >= format.oldest && found <= format.newest) {
    return absl::OkStatus();
  }
  const std::string reads =
      format.oldest == format.newest
          ? absl::StrCat("version ", format.newest)
          : absl::StrCat("versions ", format.oldest, " to ", format.newest);
  return absl::FailedPreconditionError(absl::StrCat(
      where, ": found ", format.name, " format version ", found,
      ", this program reads ", reads, "; it was written by ",
      found > format.newest ? "a newer" : "another", " program: use that one",
      format.remedy.empty() ? "" : ", ", format.remedy, " (docs/upgrades.md)"));
}

}  // namespace kodistil
