#include "base/stored_zip.h"

#include <string>

#include "base/checkpoint_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kRefused = absl::StatusCode::kInvalidArgument;

std::string TwoMembers() {
  return MakeZip({{"a/x", "first"}, {"a/y", "second one"}});
}

TEST(StoredZipTest, CrcMatchesPublishedCheckValue) {
  EXPECT_EQ(ZipCrc32("123456789"), 0xcbf43926u);
  EXPECT_EQ(ZipCrc32(""), 0u);
}

TEST(StoredZipTest, MembersAreReadWithAndWithoutZip64AndDescriptors) {
  for (const bool zip64 : {false, true}) {
    for (const uint16_t flags : {0x808, 0x800, 0}) {
      const std::string zip =
          MakeZip({{"a/x", "first", 0, flags}, {"a/y", "", 0, flags}}, zip64);
      ASSERT_OK_AND_ASSIGN(const auto members, ParseStoredZip(zip, "f.pt"));
      ASSERT_EQ(members.size(), 2);
      EXPECT_EQ(members.at("a/x"), "first");
      EXPECT_EQ(members.at("a/y"), "");
    }
  }
}

TEST(StoredZipTest, TruncatedAnywhereIsDataLoss) {
  const std::string zip = TwoMembers();
  for (size_t size = 0; size < zip.size(); ++size) {
    EXPECT_THAT(ParseStoredZip(zip.substr(0, size), "f.pt"),
                StatusIs(kDamaged, HasSubstr("f.pt: damaged ZIP")))
        << size;
  }
}

TEST(StoredZipTest, AnyFlippedByteOfContentHeadersOrNamesIsAnError) {
  const std::string zip = TwoMembers();
  int accepted = 0;
  for (size_t i = 0; i < zip.size(); ++i) {
    std::string damaged = zip;
    damaged[i] ^= 0x20;
    accepted += ParseStoredZip(damaged, "f.pt").ok();
  }
  // What nobody reads: of each member the versions (2 + 4 bytes), the times
  // (4 + 4), disk and attributes (8) of the directory; disks and one count (6)
  // of the end record. Extra and comment lengths are checked by what follows.
  EXPECT_LE(accepted, 2 * (2 + 4 + 4 + 4 + 8) + 6);
}

TEST(StoredZipTest, CompressedMemberIsRefused) {
  EXPECT_THAT(
      ParseStoredZip(MakeZip({{"a/x", "abc", /*method=*/8}}), "f.pt"),
      StatusIs(kRefused, HasSubstr("'a/x' is compressed with method 8")));
}

TEST(StoredZipTest, EncryptedMemberIsRefused) {
  EXPECT_THAT(ParseStoredZip(MakeZip({{"a/x", "abc", 0, /*flags=*/1}}), "f.pt"),
              StatusIs(kRefused, HasSubstr("flags 0x1")));
}

TEST(StoredZipTest, DuplicateAndEscapingNamesAreRefused) {
  EXPECT_THAT(ParseStoredZip(MakeZip({{"a/x", "1"}, {"a/x", "2"}}), "f.pt"),
              StatusIs(kRefused, HasSubstr("'a/x' is there twice")));
  for (const std::string& name :
       {std::string("/etc/x"), std::string("a/../../x"), std::string("a\\x"),
        std::string("a/\0", 3), std::string()}) {
    EXPECT_THAT(ParseStoredZip(MakeZip({{name, "1"}}), "f.pt"),
                StatusIs(kRefused, HasSubstr("leaves the archive")))
        << name;
  }
}

TEST(StoredZipTest, BytesBehindTheEndAreAnError) {
  EXPECT_THAT(ParseStoredZip(TwoMembers() + "x", "f.pt"),
              StatusIs(kDamaged, HasSubstr("behind its end")));
}

TEST(StoredZipTest, OverlappingMembersAreAnError) {
  // The second entry of the directory points to the first member as well.
  std::string zip = MakeZip({{"a/x", "same"}, {"a/x", "same"}});
  const size_t second = zip.rfind("PK\x01\x02");
  zip.replace(second + 42, 4, std::string(4, '\0'));
  // With equal names the duplicate is found first.
  EXPECT_THAT(ParseStoredZip(zip, "f.pt"),
              StatusIs(kRefused, HasSubstr("twice")));
  zip[second + 46] = 'b';
  EXPECT_THAT(ParseStoredZip(zip, "f.pt"),
              StatusIs(kDamaged, HasSubstr("differs from the directory")));
}

}  // namespace
}  // namespace kodistil
