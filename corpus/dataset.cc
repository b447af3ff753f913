#include "corpus/dataset.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/format_version.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// The layout is specified in docs/dataset_format.md.
constexpr absl::string_view kMagic = "KODISTDS";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 40;  // up to the name
constexpr size_t kBlockRows = 4096;
constexpr size_t kRowHeaderBytes = 12;
constexpr uint32_t kMaxClasses = 1000;
constexpr uint32_t kMaxNameBytes = 4096;

void AppendUint(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

uint64_t GetUint(const char* from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(from[i]);
  }
  return value;
}

void AppendRow(const Row& row, std::string* out) {
  AppendUint(static_cast<uint8_t>(row.split), 1, out);
  AppendUint(0, 1, out);
  AppendUint(static_cast<uint16_t>(row.label), 2, out);
  AppendUint(row.text.size(), 4, out);
  AppendUint(row.second_text.size(), 4, out);
  out->append(row.text);
  out->append(row.second_text);
}

// Reads a canonical file from front to back; errors name the file and the byte.
class Parser {
 public:
  Parser(absl::string_view bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  absl::StatusOr<Dataset> Parse() {
    KODISTIL_RETURN_IF_ERROR(ParseHeader());
    while (dataset_.rows.size() < row_count_) {
      KODISTIL_RETURN_IF_ERROR(ParseBlock());
    }
    if (position_ != bytes_.size()) {
      return Damaged(absl::StrCat("expected the end of the file, found ",
                                  bytes_.size() - position_, " bytes more"));
    }
    return std::move(dataset_);
  }

 private:
  absl::Status Damaged(const std::string& what) const {
    return absl::DataLossError(
        absl::StrCat(source_, ": byte ", position_, ": ", what));
  }

  absl::Status NeedBytes(uint64_t count, absl::string_view what) const {
    if (count <= bytes_.size() - position_) return absl::OkStatus();
    return Damaged(absl::StrCat("expected ", count, " bytes of ", what,
                                ", found ", bytes_.size() - position_));
  }

  absl::Status ParseHeader() {
    if (bytes_.substr(0, kMagic.size()) != kMagic) {
      return Damaged("not a KoDistil dataset: the file does not begin with \"" +
                     std::string(kMagic) + "\"");
    }
    KODISTIL_RETURN_IF_ERROR(NeedBytes(kHeaderBytes, "header"));
    const char* header = bytes_.data();
    const uint32_t version = GetUint(header + 8, 4);
    KODISTIL_RETURN_IF_ERROR(
        CheckFormatVersion({"dataset", 1, kVersion, ""}, source_, version));
    const uint32_t name_bytes = GetUint(header + 28, 4);
    if (name_bytes > kMaxNameBytes) {
      return Damaged("the header is damaged");
    }
    KODISTIL_RETURN_IF_ERROR(
        NeedBytes(kHeaderBytes + name_bytes, "header and name"));
    const absl::string_view name = bytes_.substr(kHeaderBytes, name_bytes);
    if (Crc32c(name, Crc32c(bytes_.substr(0, 36))) != GetUint(header + 36, 4)) {
      return Damaged("the header's checksum does not match");
    }
    const uint32_t classes = GetUint(header + 12, 4);
    row_count_ = GetUint(header + 16, 8);
    if (classes < 2 || classes > kMaxClasses ||
        row_count_ > std::numeric_limits<uint32_t>::max()) {
      return Damaged(absl::StrCat("impossible header: ", classes, " classes, ",
                                  row_count_, " rows"));
    }
    dataset_.name = std::string(name);
    dataset_.num_classes = classes;
    // The count is not trusted with memory: a row takes more than its header.
    dataset_.rows.reserve(
        std::min<uint64_t>(row_count_, bytes_.size() / (kRowHeaderBytes + 1)));
    position_ = kHeaderBytes + name_bytes;
    return absl::OkStatus();
  }

  absl::Status ParseBlock() {
    KODISTIL_RETURN_IF_ERROR(NeedBytes(8, "block header"));
    const uint64_t size = GetUint(bytes_.data() + position_, 4);
    const uint32_t crc = GetUint(bytes_.data() + position_ + 4, 4);
    KODISTIL_RETURN_IF_ERROR(NeedBytes(8 + size, "block"));
    const size_t first = dataset_.rows.size();
    const size_t last = std::min<size_t>(first + kBlockRows, row_count_);
    if (Crc32c(bytes_.substr(position_ + 8, size)) != crc) {
      return Damaged(absl::StrCat("the checksum of the block of rows ", first,
                                  " to ", last - 1, " does not match"));
    }
    position_ += 8;
    const size_t end = position_ + size;
    while (dataset_.rows.size() < last) {
      KODISTIL_RETURN_IF_ERROR(ParseRow(end));
    }
    if (position_ != end) return Damaged("a block is longer than its rows");
    return absl::OkStatus();
  }

  absl::Status ParseRow(size_t end) {
    const char* from = bytes_.data() + position_;
    if (end - position_ < kRowHeaderBytes) {
      return Damaged("a block is shorter than its rows");
    }
    const uint64_t split = GetUint(from, 1);
    const int label = static_cast<int16_t>(GetUint(from + 2, 2));
    const uint64_t text_bytes = GetUint(from + 4, 4);
    const uint64_t second_bytes = GetUint(from + 8, 4);
    if (text_bytes + second_bytes > end - position_ - kRowHeaderBytes) {
      return Damaged("a row is longer than its block");
    }
    if (split > static_cast<uint64_t>(Split::kTest) || from[1] != 0 ||
        label < kNoLabel || label >= dataset_.num_classes) {
      return Damaged(absl::StrCat("row ", dataset_.rows.size(), " has split ",
                                  split, " and label ", label));
    }
    Row row;
    row.text.assign(from + kRowHeaderBytes, text_bytes);
    row.second_text.assign(from + kRowHeaderBytes + text_bytes, second_bytes);
    row.label = label;
    row.split = static_cast<Split>(split);
    dataset_.rows.push_back(std::move(row));
    position_ += kRowHeaderBytes + text_bytes + second_bytes;
    return absl::OkStatus();
  }

  const absl::string_view bytes_;
  const std::string& source_;
  size_t position_ = 0;
  uint64_t row_count_ = 0;
  Dataset dataset_;
};

}  // namespace

absl::string_view SplitName(Split split) {
  switch (split) {
    case Split::kNone:
      return "none";
    case Split::kTrain:
      return "train";
    case Split::kValid:
      return "valid";
    case Split::kTest:
      return "test";
  }
  return "none";
}

absl::StatusOr<Split> ParseSplit(absl::string_view name) {
  for (const Split split :
       {Split::kNone, Split::kTrain, Split::kValid, Split::kTest}) {
    if (name == SplitName(split)) return split;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown split '", name, "', expected none, train, valid or test"));
}

std::string Dataset::Fingerprint() const {
  Sha256 hash;
  hash.UpdateField("kodistil dataset rows 1");
  hash.UpdateUint64(num_classes);
  hash.UpdateUint64(rows.size());
  for (const Row& row : rows) {
    hash.UpdateField(row.text);
    hash.UpdateField(row.second_text);
    hash.UpdateUint64(static_cast<uint64_t>(static_cast<int64_t>(row.label)));
    hash.UpdateUint64(static_cast<uint64_t>(row.split));
  }
  return hash.FinishHex();
}

std::vector<uint32_t> Dataset::IndicesOf(Split split) const {
  std::vector<uint32_t> indices;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].split == split) indices.push_back(static_cast<uint32_t>(i));
  }
  return indices;
}

std::string TextHash(absl::string_view text, absl::string_view second_text) {
  Sha256 hash;
  hash.UpdateField(text);
  hash.UpdateField(second_text);
  return hash.Finish().substr(0, 16);
}

std::string SerializeDataset(const Dataset& dataset) {
  std::string out(kMagic);
  AppendUint(kVersion, 4, &out);
  AppendUint(dataset.num_classes, 4, &out);
  AppendUint(dataset.rows.size(), 8, &out);
  AppendUint(kBlockRows, 4, &out);
  AppendUint(dataset.name.size(), 4, &out);
  AppendUint(0, 4, &out);
  AppendUint(Crc32c(dataset.name, Crc32c(out)), 4, &out);
  out += dataset.name;
  std::string block;
  for (size_t first = 0; first < dataset.rows.size(); first += kBlockRows) {
    const size_t last = std::min(first + kBlockRows, dataset.rows.size());
    block.clear();
    for (size_t i = first; i < last; ++i) AppendRow(dataset.rows[i], &block);
    AppendUint(block.size(), 4, &out);
    AppendUint(Crc32c(block), 4, &out);
    out += block;
  }
  return out;
}

absl::StatusOr<Dataset> ParseDataset(absl::string_view bytes,
                                     const std::string& source) {
  return Parser(bytes, source).Parse();
}

}  // namespace kodistil
