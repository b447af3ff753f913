#include "base/format_version.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(FormatVersionTest, ReadsFromTheOldestToTheNewest) {
  const DiskFormat format = {"ledger", /*oldest=*/2, /*newest=*/4, ""};
  for (const int version : {2, 3, 4}) {
    EXPECT_OK(CheckFormatVersion(format, "work/ledger", version)) << version;
  }
  for (const int version : {0, 1}) {
    EXPECT_THAT(CheckFormatVersion(format, "work/ledger", version),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("by another program")));
  }
}

TEST(FormatVersionTest, NewerOneIsRefusedByName) {
  EXPECT_THAT(
      CheckFormatVersion({"ledger", 2, 4, ""}, "work/ledger", 5),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "work/ledger: found ledger format version 5, this program reads "
               "versions 2 to 4; it was written by a newer program: use that "
               "one (docs/upgrades.md)"));
  EXPECT_THAT(
      CheckFormatVersion({"token cache", 1, 1, "or delete it"}, "x.tok", 2),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("reads version 1;"),
                     HasSubstr("use that one, or delete it (docs"))));
}

}  // namespace
}  // namespace kodistil
