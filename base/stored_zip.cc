#include "base/stored_zip.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Records of the ZIP format (PKWARE APPNOTE 6.3.9, sections 4.3.7 to 4.3.16):
// signatures and fixed lengths.
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kDescriptorSignature = 0x08074b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kEnd64Bytes = 56;
constexpr size_t kLocator64Bytes = 20;
constexpr uint16_t kDescriptorFlag = 1 << 3;
constexpr uint16_t kUtf8Flag = 1 << 11;
constexpr uint32_t kSaturated = 0xffffffff;
constexpr uint64_t kMaxMembers = 65536;

template <typename T>
T Load(absl::string_view bytes, size_t at) {
  T value;
  memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

// Parses one archive. Not reusable.
class ZipParser {
 public:
  ZipParser(absl::string_view bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  absl::StatusOr<std::map<std::string, absl::string_view>> Parse() {
    KODISTIL_RETURN_IF_ERROR(FindDirectory());
    uint64_t at = directory_begin_;
    for (uint64_t i = 0; i < entries_; ++i) {
      KODISTIL_RETURN_IF_ERROR(ReadEntry(&at));
    }
    if (at != directory_end_) {
      return Damaged(at, "the directory does not end where it should");
    }
    // Before the checksums: overlapping members could make them quadratic.
    KODISTIL_RETURN_IF_ERROR(CheckOverlaps());
    for (const Entry& entry : checked_) {
      KODISTIL_RETURN_IF_ERROR(CheckCrc(entry));
    }
    return std::move(members_);
  }

 private:
  struct Entry {
    std::string name;
    uint16_t flags = 0;
    uint32_t crc = 0;
    uint64_t size = 0;
    uint64_t header = 0;  // offset of the local header
  };

  absl::Status Damaged(uint64_t at, absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(
        source_, ": damaged ZIP archive at byte ", at, ": ", what));
  }
  absl::Status Refused(const std::string& name, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        source_, ": member '", absl::Utf8SafeCHexEscape(name), "' ", what));
  }
  bool Fits(uint64_t at, uint64_t size) const {
    return at <= bytes_.size() && size <= bytes_.size() - at;
  }

  absl::Status FindDirectory();
  absl::Status ReadEnd64(uint64_t end, uint64_t* directory_size);
  absl::Status ReadEntry(uint64_t* at);
  absl::Status ReadZip64Extra(absl::string_view extra, uint64_t at,
                              uint32_t compressed, Entry* entry) const;
  absl::Status CheckName(const std::string& name) const;
  absl::Status ReadMember(const Entry& entry);
  absl::Status CheckDescriptor(const Entry& entry, uint64_t* end) const;
  absl::Status CheckOverlaps();
  absl::Status CheckCrc(const Entry& entry) const;

  const absl::string_view bytes_;
  const std::string& source_;
  uint64_t entries_ = 0;
  uint64_t directory_begin_ = 0;
  uint64_t directory_end_ = 0;
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;  // of whole members
  std::vector<Entry> checked_;                         // but for their content
  std::map<std::string, absl::string_view> members_;
};

absl::Status ZipParser::FindDirectory() {
  if (bytes_.size() < kEndBytes) {
    return Damaged(bytes_.size(), "too short for a ZIP archive");
  }
  // torch.save writes no comment, so the record ends the file.
  const uint64_t end = bytes_.size() - kEndBytes;
  if (Load<uint32_t>(bytes_, end) != kEndSignature ||
      Load<uint16_t>(bytes_, end + 20) != 0) {
    return Damaged(end,
                   "expected the end-of-directory record; the file is "
                   "cut short or has something behind its end");
  }
  entries_ = Load<uint16_t>(bytes_, end + 10);
  uint64_t directory_size = Load<uint32_t>(bytes_, end + 12);
  directory_begin_ = Load<uint32_t>(bytes_, end + 16);
  directory_end_ = end;
  if (end >= kLocator64Bytes &&
      Load<uint32_t>(bytes_, end - kLocator64Bytes) == kLocator64Signature) {
    KODISTIL_RETURN_IF_ERROR(ReadEnd64(end - kLocator64Bytes, &directory_size));
  }
  if (entries_ > kMaxMembers) {
    return absl::InvalidArgumentError(
        absl::StrCat(source_, ": a ZIP archive of ", entries_,
                     " members, expected at most ", kMaxMembers));
  }
  if (directory_begin_ > directory_end_ ||
      directory_size != directory_end_ - directory_begin_) {
    return Damaged(end, absl::StrCat("a directory of ", directory_size,
                                     " bytes from byte ", directory_begin_,
                                     " does not end at its end record"));
  }
  return absl::OkStatus();
}

absl::Status ZipParser::ReadEnd64(uint64_t locator, uint64_t* directory_size) {
  const uint64_t end = Load<uint64_t>(bytes_, locator + 8);
  if (end > locator || locator - end != kEnd64Bytes ||
      Load<uint32_t>(bytes_, end) != kEnd64Signature) {
    return Damaged(locator, "expected the ZIP64 end record before this byte");
  }
  entries_ = Load<uint64_t>(bytes_, end + 32);
  *directory_size = Load<uint64_t>(bytes_, end + 40);
  directory_begin_ = Load<uint64_t>(bytes_, end + 48);
  directory_end_ = end;
  return absl::OkStatus();
}

absl::Status ZipParser::ReadEntry(uint64_t* at) {
  const uint64_t begin = *at;
  if (begin > directory_end_ || directory_end_ - begin < kCentralBytes ||
      Load<uint32_t>(bytes_, begin) != kCentralSignature) {
    return Damaged(begin, "expected a directory entry");
  }
  const uint64_t name_bytes = Load<uint16_t>(bytes_, begin + 28);
  const uint64_t extra_bytes = Load<uint16_t>(bytes_, begin + 30);
  const uint64_t comment_bytes = Load<uint16_t>(bytes_, begin + 32);
  const uint64_t size =
      kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  if (size > directory_end_ - begin) {
    return Damaged(begin, "a directory entry reaches beyond the directory");
  }
  Entry entry;
  entry.name = std::string(bytes_.substr(begin + kCentralBytes, name_bytes));
  entry.flags = Load<uint16_t>(bytes_, begin + 8);
  entry.crc = Load<uint32_t>(bytes_, begin + 16);
  entry.size = Load<uint32_t>(bytes_, begin + 24);
  entry.header = Load<uint32_t>(bytes_, begin + 42);
  KODISTIL_RETURN_IF_ERROR(CheckName(entry.name));
  if (const uint16_t method = Load<uint16_t>(bytes_, begin + 10); method != 0) {
    return Refused(entry.name, absl::StrCat("is compressed with method ",
                                            method, ", expected 0 (stored)"));
  }
  if ((entry.flags & ~(kDescriptorFlag | kUtf8Flag)) != 0) {
    return Refused(entry.name,
                   absl::StrCat("has flags 0x", absl::Hex(entry.flags),
                                " (encrypted or patched)"));
  }
  const absl::string_view extra =
      bytes_.substr(begin + kCentralBytes + name_bytes, extra_bytes);
  KODISTIL_RETURN_IF_ERROR(
      ReadZip64Extra(extra, begin, Load<uint32_t>(bytes_, begin + 20), &entry));
  KODISTIL_RETURN_IF_ERROR(ReadMember(entry));
  *at = begin + size;
  return absl::OkStatus();
}

absl::Status ZipParser::ReadZip64Extra(absl::string_view extra, uint64_t at,
                                       uint32_t compressed,
                                       Entry* entry) const {
  uint64_t compressed_size = compressed;
  while (extra.size() >= 4) {
    const uint16_t id = Load<uint16_t>(extra, 0);
    const uint16_t size = Load<uint16_t>(extra, 2);
    if (size > extra.size() - 4) break;
    absl::string_view body = extra.substr(4, size);
    extra.remove_prefix(4 + size);
    if (id != 1) continue;
    // Only the fields that do not fit are there, in this order.
    for (uint64_t* field : {&entry->size, &compressed_size, &entry->header}) {
      if (*field != kSaturated) continue;
      if (body.size() < 8) return Damaged(at, "a ZIP64 field is cut short");
      *field = Load<uint64_t>(body, 0);
      body.remove_prefix(8);
    }
  }
  if (compressed_size != entry->size) {
    return Damaged(
        at, absl::StrCat("member '", absl::Utf8SafeCHexEscape(entry->name),
                         "' is stored, but its sizes differ: ", compressed_size,
                         " and ", entry->size));
  }
  return absl::OkStatus();
}

absl::Status ZipParser::CheckName(const std::string& name) const {
  bool bad = name.empty() || name[0] == '/' ||
             name.find('\\') != std::string::npos ||
             name.find('\0') != std::string::npos;
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    bad = bad || part == "..";
  }
  if (bad) return Refused(name, "has a name that leaves the archive");
  if (members_.count(name) > 0) return Refused(name, "is there twice");
  return absl::OkStatus();
}

absl::Status ZipParser::ReadMember(const Entry& entry) {
  const uint64_t begin = entry.header;
  if (begin > directory_begin_ || directory_begin_ - begin < kLocalBytes ||
      Load<uint32_t>(bytes_, begin) != kLocalSignature) {
    return Damaged(begin,
                   absl::StrCat("expected the local header of member '",
                                absl::Utf8SafeCHexEscape(entry.name), "'"));
  }
  const uint64_t name_bytes = Load<uint16_t>(bytes_, begin + 26);
  const uint64_t data =
      begin + kLocalBytes + name_bytes + Load<uint16_t>(bytes_, begin + 28);
  if (data > directory_begin_ || entry.size > directory_begin_ - data) {
    return Damaged(
        begin,
        absl::StrCat("member '", absl::Utf8SafeCHexEscape(entry.name), "' of ",
                     entry.size, " bytes reaches into the directory"));
  }
  const bool described = (entry.flags & kDescriptorFlag) != 0;
  const auto agrees = [&](uint32_t local, uint64_t central) {
    return local == central || local == kSaturated || (described && local == 0);
  };
  if (bytes_.substr(begin + kLocalBytes, name_bytes) != entry.name ||
      Load<uint16_t>(bytes_, begin + 6) != entry.flags ||
      Load<uint16_t>(bytes_, begin + 8) != 0 ||
      !agrees(Load<uint32_t>(bytes_, begin + 14), entry.crc) ||
      !agrees(Load<uint32_t>(bytes_, begin + 18), entry.size) ||
      !agrees(Load<uint32_t>(bytes_, begin + 22), entry.size)) {
    return Damaged(begin, absl::StrCat("the local header of member '",
                                       absl::Utf8SafeCHexEscape(entry.name),
                                       "' differs from the directory"));
  }
  uint64_t end = data + entry.size;
  if (described) KODISTIL_RETURN_IF_ERROR(CheckDescriptor(entry, &end));
  ranges_.emplace_back(begin, end);
  members_[entry.name] = bytes_.substr(data, entry.size);
  checked_.push_back(entry);
  return absl::OkStatus();
}

absl::Status ZipParser::CheckCrc(const Entry& entry) const {
  const absl::string_view content = members_.at(entry.name);
  const uint32_t crc = ZipCrc32(content);
  if (crc == entry.crc) return absl::OkStatus();
  return Damaged(content.data() - bytes_.data(),
                 absl::StrCat("member '", absl::Utf8SafeCHexEscape(entry.name),
                              "' has CRC-32 ", absl::Hex(crc), ", expected ",
                              absl::Hex(entry.crc)));
}

absl::Status ZipParser::CheckDescriptor(const Entry& entry,
                                        uint64_t* end) const {
  const absl::string_view rest = bytes_.substr(*end, directory_begin_ - *end);
  if (rest.size() >= 16 && Load<uint32_t>(rest, 0) == kDescriptorSignature &&
      Load<uint32_t>(rest, 4) == entry.crc) {
    // Sizes of 8 bytes in ZIP64 members, else of 4.
    if (rest.size() >= 24 && Load<uint64_t>(rest, 8) == entry.size &&
        Load<uint64_t>(rest, 16) == entry.size) {
      *end += 24;
      return absl::OkStatus();
    }
    if (Load<uint32_t>(rest, 8) == entry.size &&
        Load<uint32_t>(rest, 12) == entry.size) {
      *end += 16;
      return absl::OkStatus();
    }
  }
  return Damaged(*end, absl::StrCat("the data descriptor of member '",
                                    absl::Utf8SafeCHexEscape(entry.name),
                                    "' differs from the directory"));
}

absl::Status ZipParser::CheckOverlaps() {
  std::sort(ranges_.begin(), ranges_.end());
  for (size_t i = 1; i < ranges_.size(); ++i) {
    if (ranges_[i].first < ranges_[i - 1].second) {
      return Damaged(ranges_[i].first, "two members overlap");
    }
  }
  return absl::OkStatus();
}

// Slicing by 8 (Kounavis and Berry, 2005): table k is the CRC of a byte
// followed by k zero bytes.
std::array<std::array<uint32_t, 256>, 8> MakeCrcTables() {
  std::array<std::array<uint32_t, 256>, 8> tables;
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (0xedb88320 & (0 - (crc & 1)));
    }
    tables[0][i] = crc;
  }
  for (int k = 1; k < 8; ++k) {
    for (uint32_t i = 0; i < 256; ++i) {
      const uint32_t crc = tables[k - 1][i];
      tables[k][i] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}

}  // namespace

uint32_t ZipCrc32(absl::string_view bytes) {
  static const auto& tables =
      *new std::array<std::array<uint32_t, 256>, 8>(MakeCrcTables());
  uint32_t crc = 0xffffffff;
  while (bytes.size() >= 8) {
    const uint64_t word = Load<uint64_t>(bytes, 0) ^ crc;
    crc = 0;
    for (int k = 0; k < 8; ++k) {
      crc ^= tables[7 - k][(word >> (8 * k)) & 0xff];
    }
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) {
    crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<uint8_t>(c)) & 0xff];
  }
  return ~crc;
}

absl::StatusOr<std::map<std::string, absl::string_view>> ParseStoredZip(
    absl::string_view bytes, const std::string& source) {
  return ZipParser(bytes, source).Parse();
}

}  // namespace kodistil
