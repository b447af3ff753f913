#include "logit_store/logit_format.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/format_version.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr uint8_t kRecordVersion = 1;
constexpr DiskFormat kRecordFormat = {"logit store's record", 1, kRecordVersion,
                                      ""};
constexpr size_t kCrcBytes = 4;
constexpr size_t kNameBytes = 16;  // of a hashed name within a key
constexpr size_t kIndexBytes = 8;
constexpr absl::string_view kFormatName = "kodistil logit store";

// The first byte of a key.
enum Kind : char {
  kDataset = 'D',
  kFormat = 'F',
  kHashBlock = 'H',
  kLogits = 'L',
  kManifest = 'M',
  kRow = 'R',
};

void AppendLittle(uint64_t value, int bytes, std::string* out) {
  char little[sizeof(value)];
  for (int i = 0; i < bytes; ++i) {
    little[i] = static_cast<char>(value >> (8 * i));
  }
  out->append(little, bytes);
}

uint64_t GetLittle(const char* from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(from[i]);
  }
  return value;
}

// Names have any length, keys a fixed one.
std::string KeyOfSet(Kind kind, const v1::LogitSetId& id) {
  Sha256 hash;
  hash.UpdateField(id.teacher_fingerprint());
  hash.UpdateField(id.dataset());
  return absl::StrCat(std::string(1, kind),
                      hash.Finish().substr(0, kNameBytes));
}

std::string KeyOfDataset(Kind kind, absl::string_view name) {
  return absl::StrCat(std::string(1, kind),
                      Sha256Raw(name).substr(0, kNameBytes));
}

uint32_t RecordCrc(absl::string_view key, absl::string_view body) {
  return Crc32c(body, Crc32c(key));
}

}  // namespace

std::string FormatKey() { return std::string(1, kFormat); }
std::string ManifestKeyStart() { return std::string(1, kManifest); }
std::string DatasetKeyStart() { return std::string(1, kDataset); }

std::string ManifestKey(const v1::LogitSetId& id) {
  return KeyOfSet(kManifest, id);
}

std::string DatasetKey(absl::string_view name) {
  return KeyOfDataset(kDataset, name);
}

std::string LogitPrefix(const v1::LogitSetId& id) {
  return KeyOfSet(kLogits, id);
}

std::string RowPrefix(absl::string_view dataset, uint64_t generation) {
  return AppendIndex(KeyOfDataset(kRow, dataset), generation);
}

std::string HashBlockPrefix(absl::string_view dataset, uint64_t generation) {
  return AppendIndex(KeyOfDataset(kHashBlock, dataset), generation);
}

std::string AppendIndex(absl::string_view prefix, uint64_t index) {
  std::string key(prefix);
  key.resize(prefix.size() + kIndexBytes);
  ReplaceIndex(index, &key);
  return key;
}

void ReplaceIndex(uint64_t index, std::string* key) {
  char* last = &(*key)[key->size() - kIndexBytes];
  for (int shift = 56; shift >= 0; shift -= 8) {
    *last++ = static_cast<char>(index >> shift);
  }
}

bool IsLogitKey(absl::string_view key) {
  return key.size() == 1 + kNameBytes + kIndexBytes && key[0] == kLogits;
}

uint64_t IndexOfKey(absl::string_view key) {
  uint64_t index = 0;
  if (key.size() < kIndexBytes) return index;
  for (const char c : key.substr(key.size() - kIndexBytes)) {
    index = (index << 8) | static_cast<uint8_t>(c);
  }
  return index;
}

std::string KeyText(absl::string_view key) {
  switch (key.empty() ? '\0' : key[0]) {
    case kDataset:
      return "record of a dataset";
    case kFormat:
      return "format record";
    case kHashBlock:
      return absl::StrCat("text hashes from row ",
                          IndexOfKey(key) * kHashesPerBlock);
    case kLogits:
      return absl::StrCat("logits of row ", IndexOfKey(key));
    case kManifest:
      return "manifest of a set";
    case kRow:
      return absl::StrCat("text of row ", IndexOfKey(key));
  }
  return "unknown record";
}

std::string SealRecord(absl::string_view key, absl::string_view payload) {
  std::string record;
  record.reserve(1 + payload.size() + kCrcBytes);
  record.push_back(kRecordVersion);
  record.append(payload.data(), payload.size());
  AppendLittle(RecordCrc(key, record), kCrcBytes, &record);
  return record;
}

absl::StatusOr<absl::string_view> OpenRecord(absl::string_view key,
                                             absl::string_view record) {
  if (record.size() < 1 + kCrcBytes) {
    return absl::DataLossError(absl::StrCat(
        KeyText(key), ": expected 5 bytes or more, found ", record.size()));
  }
  const absl::string_view body = record.substr(0, record.size() - kCrcBytes);
  const uint32_t found = RecordCrc(key, body);
  const uint32_t expected = GetLittle(body.data() + body.size(), kCrcBytes);
  if (found != expected) {
    return absl::DataLossError(
        absl::StrCat(KeyText(key), ": checksum ", absl::Hex(found),
                     ", the record says ", absl::Hex(expected)));
  }
  const int version = static_cast<uint8_t>(body[0]);
  if (version != kRecordVersion) {  // the key's text takes longer than the rest
    KODISTIL_RETURN_IF_ERROR(
        CheckFormatVersion(kRecordFormat, KeyText(key), version));
  }
  return body.substr(1);
}

void SealLogits(absl::string_view key, const v1::LogitRow& row,
                std::string* record) {
  record->clear();
  record->push_back(kRecordVersion);
  record->append(row.text_hash());
  for (const float logit : row.logits()) {
    uint32_t bits;
    std::memcpy(&bits, &logit, sizeof(bits));
    AppendLittle(bits, sizeof(bits), record);
  }
  AppendLittle(RecordCrc(key, *record), kCrcBytes, record);
}

std::string SealLogits(absl::string_view key, const v1::LogitRow& row) {
  std::string record;
  SealLogits(key, row, &record);
  return record;
}

absl::Status OpenLogits(absl::string_view key, absl::string_view record,
                        uint32_t num_classes, v1::LogitRow* row) {
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view payload,
                            OpenRecord(key, record));
  if (payload.size() != kTextHashBytes + sizeof(float) * num_classes) {
    return absl::DataLossError(
        absl::StrCat(KeyText(key), ": expected ", num_classes, " logits in ",
                     kTextHashBytes + sizeof(float) * num_classes,
                     " bytes, found ", payload.size(), " bytes"));
  }
  row->set_index(IndexOfKey(key));
  row->set_text_hash(payload.data(), kTextHashBytes);
  row->mutable_logits()->Resize(num_classes, 0);
  for (uint32_t i = 0; i < num_classes; ++i) {
    const uint32_t bits =
        GetLittle(payload.data() + kTextHashBytes + sizeof(float) * i, 4);
    std::memcpy(row->mutable_logits()->Mutable(i), &bits, sizeof(bits));
  }
  return absl::OkStatus();
}

absl::string_view TextHashOf(absl::string_view payload) {
  return payload.substr(0, kTextHashBytes);
}

std::string SealFormat(uint32_t version) {
  std::string payload(kFormatName);
  AppendLittle(version, 4, &payload);
  return SealRecord(FormatKey(), payload);
}

absl::Status CheckFormat(absl::string_view record) {
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view payload,
                            OpenRecord(FormatKey(), record));
  if (payload.size() < kFormatName.size() + 4 ||
      payload.substr(0, kFormatName.size()) != kFormatName) {
    return absl::FailedPreconditionError(
        "this is a RocksDB database but no logit store");
  }
  const uint32_t version = GetLittle(payload.data() + kFormatName.size(), 4);
  return CheckFormatVersion({"logit store", 1, kLogitFormatVersion, ""},
                            "the store's records", version);
}

std::string SealDataset(absl::string_view key, const DatasetRecord& dataset) {
  std::string payload;
  AppendLittle(dataset.generation, 8, &payload);
  payload += dataset.info.SerializeAsString();
  return SealRecord(key, payload);
}

absl::StatusOr<DatasetRecord> OpenDataset(absl::string_view key,
                                          absl::string_view record) {
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view payload,
                            OpenRecord(key, record));
  DatasetRecord dataset;
  if (payload.size() < 8 ||
      !dataset.info.ParseFromArray(payload.data() + 8, payload.size() - 8)) {
    return absl::DataLossError(absl::StrCat(
        KeyText(key), " does not parse: ", payload.size(), " bytes"));
  }
  dataset.generation = GetLittle(payload.data(), 8);
  return dataset;
}

std::string SealMessage(absl::string_view key,
                        const google::protobuf::MessageLite& message) {
  return SealRecord(key, message.SerializeAsString());
}

absl::Status OpenMessage(absl::string_view key, absl::string_view record,
                         google::protobuf::MessageLite* message) {
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view payload,
                            OpenRecord(key, record));
  if (message->ParseFromArray(payload.data(), payload.size())) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      KeyText(key), " does not parse: ", payload.size(), " bytes"));
}

}  // namespace kodistil
