// Keys and records of the RocksDB store, byte by byte as specified in
// docs/logit_store_format.md.

#ifndef KODISTIL_LOGIT_STORE_LOGIT_FORMAT_H_
#define KODISTIL_LOGIT_STORE_LOGIT_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kodistil/v1/logit_store.pb.h"

namespace kodistil {

// Of the store as a whole; a newer one is refused.
inline constexpr uint32_t kLogitFormatVersion = 1;
inline constexpr size_t kTextHashBytes = 16;
// Text hashes of a dataset are kept apart from its texts, this many a record.
inline constexpr uint64_t kHashesPerBlock = 4096;

// Keys. Every kind has one length, and integers are big-endian, so that keys
// sort by index.
std::string FormatKey();
std::string ManifestKey(const v1::LogitSetId& id);
std::string DatasetKey(absl::string_view name);
// Prefixes to which AppendIndex adds the last 8 bytes.
std::string LogitPrefix(const v1::LogitSetId& id);
std::string RowPrefix(absl::string_view dataset, uint64_t generation);
std::string HashBlockPrefix(absl::string_view dataset, uint64_t generation);
std::string AppendIndex(absl::string_view prefix, uint64_t index);
// All keys of the kind (manifests, datasets) begin with it.
std::string ManifestKeyStart();
std::string DatasetKeyStart();

// Of a key that has one.
void ReplaceIndex(uint64_t index, std::string* key);
// Whether it is LogitPrefix with an index.
bool IsLogitKey(absl::string_view key);
// The last 8 bytes of a key.
uint64_t IndexOfKey(absl::string_view key);
// "logits of row 42", for messages.
std::string KeyText(absl::string_view key);

// Records: version byte, payload, CRC-32C over key, version and payload. The
// key is part of the sum so that a record in another's place is found out.
std::string SealRecord(absl::string_view key, absl::string_view payload);
// The payload within `record`. DATA_LOSS, naming the record, when the checksum
// does not match; FAILED_PRECONDITION for a newer version.
absl::StatusOr<absl::string_view> OpenRecord(absl::string_view key,
                                             absl::string_view record);

// Logits of a row; the second replaces `record`, for many of them.
std::string SealLogits(absl::string_view key, const v1::LogitRow& row);
void SealLogits(absl::string_view key, const v1::LogitRow& row,
                std::string* record);
// `row` with the index from the key. Errors as OpenRecord, DATA_LOSS also when
// the record does not hold num_classes logits.
absl::Status OpenLogits(absl::string_view key, absl::string_view record,
                        uint32_t num_classes, v1::LogitRow* row);
// The text hash of a record of logits, unchecked: for records that OpenRecord
// accepted.
absl::string_view TextHashOf(absl::string_view payload);

// The record that names the format, and its check. FAILED_PRECONDITION naming
// both versions when the store is newer.
std::string SealFormat(uint32_t version);
absl::Status CheckFormat(absl::string_view record);

// A dataset's record: the rows of which generation are its rows.
struct DatasetRecord {
  v1::DescribeDatasetResponse info;
  uint64_t generation = 0;
};
std::string SealDataset(absl::string_view key, const DatasetRecord& dataset);
absl::StatusOr<DatasetRecord> OpenDataset(absl::string_view key,
                                          absl::string_view record);

std::string SealMessage(absl::string_view key,
                        const google::protobuf::MessageLite& message);
absl::Status OpenMessage(absl::string_view key, absl::string_view record,
                         google::protobuf::MessageLite* message);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_LOGIT_FORMAT_H_
