#include "corpus/predictions.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/little_endian.h"

namespace kodistil {
namespace {

constexpr absl::string_view kMagic = "KODPRED";
constexpr char kVersion = 1;
constexpr size_t kCountBytes = 8;
constexpr size_t kHeadBytes = 8 + kCountBytes;
constexpr size_t kCrcBytes = 4;

absl::Status Damaged(absl::string_view name, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(name, ": no file of predictions: ", what));
}

}  // namespace

std::string SerializePredictions(const Predictions& predictions) {
  std::string bytes(kMagic);
  bytes.push_back(kVersion);
  AppendLittleEndian(predictions.size(), kCountBytes, &bytes);
  bytes.resize(kHeadBytes + (predictions.size() + 7) / 8);
  for (size_t i = 0; i < predictions.size(); ++i) {
    if (predictions[i]) bytes[kHeadBytes + i / 8] |= 1 << (i % 8);
  }
  AppendLittleEndian(Crc32c(bytes), kCrcBytes, &bytes);
  return bytes;
}

absl::StatusOr<Predictions> ParsePredictions(absl::string_view bytes,
                                             absl::string_view name) {
  if (bytes.size() < kHeadBytes + kCrcBytes ||
      bytes.substr(0, kMagic.size()) != kMagic) {
    return Damaged(
        name,
        absl::StrCat("found ", bytes.size(), " bytes, expected at least ",
                     kHeadBytes + kCrcBytes, ", beginning '", kMagic, "'"));
  }
  const int version = static_cast<unsigned char>(bytes[kMagic.size()]);
  if (version > kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": found version ", version,
                     " of predictions, expected at most ", int{kVersion}));
  }
  const absl::string_view body = bytes.substr(0, bytes.size() - kCrcBytes);
  const uint64_t count = LittleEndian(bytes.substr(8, kCountBytes));
  if (count > 8 * (body.size() - kHeadBytes) ||
      body.size() != kHeadBytes + (count + 7) / 8) {
    return Damaged(name, absl::StrCat("found ", body.size() - kHeadBytes,
                                      " bytes for ", count, " rows, expected ",
                                      count / 8 + (count % 8 != 0)));
  }
  if (LittleEndian(bytes.substr(body.size())) != Crc32c(body)) {
    return Damaged(name, "the checksum is another");
  }
  Predictions predictions(count);
  for (size_t i = 0; i < count; ++i) {
    predictions[i] = (body[kHeadBytes + i / 8] >> (i % 8)) & 1;
  }
  return predictions;
}

}  // namespace kodistil
