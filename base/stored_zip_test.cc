#include "base/stored_zip.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checkpoint_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
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

template <typename T>
void Patch(std::string* bytes, size_t at, T value) {
  bytes->replace(at, sizeof(value), reinterpret_cast<const char*>(&value),
                 sizeof(value));
}

// Where the directory and the end record of an archive without ZIP64 begin.
size_t DirectoryOf(const std::string& zip) { return zip.find("PK\x01\x02"); }
size_t EndOf(const std::string& zip) { return zip.size() - 22; }

// TwoMembers with `value` at `at` of the first entry of the directory, and at
// `local_at` of its local header (0 for none).
template <typename T>
std::string WithField(size_t at, T value, size_t local_at = 0) {
  std::string zip = TwoMembers();
  Patch(&zip, DirectoryOf(zip) + at, value);
  if (local_at > 0) Patch(&zip, local_at, value);
  return zip;
}

// TwoMembers with another content of the first, of the same length.
std::string WithContent(const std::string& content) {
  std::string zip = TwoMembers();
  return zip.replace(zip.find("first"), content.size(), content);
}

template <typename T>
std::string WithEndField(size_t at, T value) {
  std::string zip = TwoMembers();
  Patch(&zip, EndOf(zip) + at, value);
  return zip;
}

// "a/x" holds all of "a/y", headers too: both are well-formed.
std::string Overlapping() {
  const std::string inner = MakeZip({{"a/y", "inner"}});
  const std::string record = inner.substr(0, DirectoryOf(inner));
  std::string zip = MakeZip({{"a/x", record}});
  std::string entry =
      inner.substr(DirectoryOf(inner), EndOf(inner) - DirectoryOf(inner));
  Patch(&entry, 42, static_cast<uint32_t>(zip.find(record)));
  zip.insert(EndOf(zip), entry);
  const size_t end = EndOf(zip);
  Patch<uint16_t>(&zip, end + 10, 2);
  Patch(&zip, end + 12, static_cast<uint32_t>(end - DirectoryOf(zip)));
  return zip;
}

// The first byte of the data descriptor of "a/x".
size_t DescriptorOf(const std::string& zip) { return zip.find("PK\x07\x08"); }

std::string WithDescriptor(size_t at, char value) {
  std::string zip = TwoMembers();
  zip[DescriptorOf(zip) + at] = value;
  return zip;
}

TEST(StoredZipTest, EveryFieldOfADescriptorCounts) {
  for (const size_t at : {0, 4, 8, 12}) {
    EXPECT_THAT(
        ParseStoredZip(WithDescriptor(at, 'x'), "f.pt"),
        StatusIs(kDamaged, HasSubstr("the data descriptor of member 'a/x'")))
        << at;
  }
}

// The number of members that a ZIP64 end record tells.
std::string WithZip64Count(uint64_t count) {
  std::string zip = MakeZip({{"a/x", "1"}}, /*zip64=*/true);
  Patch(&zip, zip.find("PK\x06\x06") + 32, count);
  return zip;
}

std::string WithZip64Locator(uint64_t end) {
  std::string zip = MakeZip({{"a/x", "1"}}, /*zip64=*/true);
  Patch(&zip, zip.find("PK\x06\x07") + 8, end);
  return zip;
}

struct Hostile {
  std::string zip;
  absl::StatusCode code;
  std::string message;
};

void ExpectRefused(const std::vector<Hostile>& table) {
  std::set<std::string> messages;
  for (const Hostile& bad : table) {
    const absl::Status status = ParseStoredZip(bad.zip, "f.pt").status();
    EXPECT_THAT(status, StatusIs(bad.code, AllOf(HasSubstr("f.pt: "),
                                                 HasSubstr(bad.message))));
    EXPECT_TRUE(messages.insert(std::string(status.message())).second)
        << "two kinds of damage have one message: " << status;
  }
}

TEST(StoredZipTest, HostileMembersAreRefused) {
  ExpectRefused({
      {"", kDamaged, "byte 0: too short"},
      {std::string(22, 'x'), kDamaged, "byte 0: expected the end-of-directory"},
      {TwoMembers() + "x", kDamaged, "behind its end"},
      {WithEndField<uint16_t>(20, 1), kDamaged,
       "expected the end-of-directory"},
      {MakeZip({{"a/x", "abc", /*method=*/8}}), kRefused,
       "'a/x' is compressed with method 8, expected 0"},
      // A bomb in short: 3 bytes stored that say they are 4 GB.
      {WithField<uint32_t>(24, 0xfffffffe), kDamaged,
       "'a/x' is stored, but its sizes differ: 5 and 4294967294"},
      {MakeZip({{"a/x", "abc", 0, /*flags=*/1}}), kRefused, "has flags 0x1 "},
      {MakeZip({{"a/x", "abc", 0, /*flags=*/0x2000}}), kRefused,
       "has flags 0x2000 "},
      {MakeZip({{"a/x", "1"}, {"a/x", "2"}}), kRefused, "'a/x' is there twice"},
      {MakeZip({{"/etc/x", "1"}}), kRefused, "'/etc/x' has a name that leaves"},
      {MakeZip({{"a/../../x", "1"}}), kRefused, "'a/../../x' has a name that"},
      {MakeZip({{"..", "1"}}), kRefused, "'..' has a name that leaves"},
      {MakeZip({{"a\\x", "1"}}), kRefused, "'a\\\\x' has a name that leaves"},
      {MakeZip({{std::string("a/\0", 3), "1"}}), kRefused, "'a/\\x00' has a"},
      {MakeZip({{"", "1"}}), kRefused, "member '' has a name that leaves"},
  });
}

TEST(StoredZipTest, HostileLayoutsAreRefused) {
  constexpr uint32_t kNone = 0xffffffff;
  ExpectRefused({
      {Overlapping(), kDamaged, "two members overlap"},
      {WithField<uint16_t>(28, 4, 26), kDamaged,
       "the local header of member 'a/xP' differs"},
      {WithField<uint16_t>(28, 0xffff), kDamaged,
       "a directory entry reaches beyond the directory"},
      {WithField<uint32_t>(42, 1), kDamaged,
       "byte 1: expected the local header of member 'a/x'"},
      {WithField<uint32_t>(42, 0xfffffff0), kDamaged,
       "byte 4294967280: expected the local header"},
      {WithField<uint32_t>(42, kNone), kDamaged,
       "byte 4294967295: expected the local header"},
      {WithField<uint8_t>(46, 'b'), kDamaged,
       "the local header of member 'b/x' differs from the directory"},
      {WithContent("fxrst"), kDamaged, "byte 33: member 'a/x' has CRC-32"},
      {WithField<uint32_t>(16, 7), kDamaged, "the data descriptor of member"},
      {WithEndField<uint16_t>(10, 1), kDamaged, "does not end where it should"},
      {WithEndField<uint16_t>(10, 3), kDamaged, "expected a directory entry"},
      {WithEndField<uint32_t>(12, 1), kDamaged, "a directory of 1 bytes"},
      {WithEndField<uint32_t>(16, kNone), kDamaged, "from byte 4294967295"},
      {WithZip64Count(65537), kRefused,
       "65537 members, expected at most 65536"},
      {WithZip64Count(uint64_t{1} << 60), kRefused, "1152921504606846976 memb"},
      {WithZip64Locator(0), kDamaged, "expected the ZIP64 end record"},
  });
}

// Sixty thousand members, each inside the one before: their checksums, taken
// one by one, would be over 70 GB.
TEST(StoredZipTest, ManyOverlappingMembersAreRefusedAtOnce) {
  constexpr uint32_t kMembers = 60000;
  constexpr uint32_t kRecord = 30 + 7;
  std::string zip;
  std::string directory;
  for (uint32_t i = 0; i < kMembers; ++i) {
    const std::string name = absl::StrCat("a/", absl::Dec(i, absl::kZeroPad5));
    const uint32_t size = (kMembers - i - 1) * kRecord;
    std::string local(30, '\0');
    local.replace(0, 4, "PK\x03\x04");
    Patch(&local, 18, size);
    Patch(&local, 22, size);
    Patch<uint16_t>(&local, 26, 7);
    std::string entry(46, '\0');
    entry.replace(0, 4, "PK\x01\x02");
    Patch(&entry, 20, size);
    Patch(&entry, 24, size);
    Patch<uint16_t>(&entry, 28, 7);
    Patch<uint32_t>(&entry, 42, i * kRecord);
    zip += local + name;
    directory += entry + name;
  }
  std::string end(22, '\0');
  end.replace(0, 4, "PK\x05\x06");
  Patch<uint16_t>(&end, 10, kMembers);
  Patch(&end, 12, static_cast<uint32_t>(directory.size()));
  Patch(&end, 16, static_cast<uint32_t>(zip.size()));
  EXPECT_THAT(ParseStoredZip(zip + directory + end, "f.pt"),
              StatusIs(kDamaged, HasSubstr("two members overlap")));
}

}  // namespace
}  // namespace kodistil
