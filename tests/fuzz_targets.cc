#include "tests/fuzz_targets.h"

#include <string.h>

#include <cstdint>
#include <deque>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/checkpoint_testing.h"
#include "base/hash.h"
#include "base/safetensors.h"
#include "base/status_macros.h"
#include "base/stored_zip.h"
#include "base/torch_checkpoint.h"
#include "corpus/dataset.h"
#include "corpus/text_formats.h"
#include "google/protobuf/stubs/logging.h"
#include "logit_store/logit_format.h"

namespace kodistil {
namespace {

constexpr char kSource[] = "the.file";

using Tensors = std::map<std::string, TensorView>;

absl::Status Broken(absl::string_view promise) {
  return absl::InternalError(absl::StrCat("broken promise: ", promise));
}

// False: an error must be one of those that the readers promise, and name the
// file.
absl::StatusOr<bool> Refused(const absl::Status& status,
                             absl::string_view source) {
  if (status.code() != absl::StatusCode::kDataLoss &&
      status.code() != absl::StatusCode::kInvalidArgument &&
      status.code() != absl::StatusCode::kFailedPrecondition) {
    return Broken(absl::StrCat("refused with ", status.ToString()));
  }
  if (!absl::StrContains(status.message(), source)) {
    return Broken(absl::StrCat("no file in ", status.ToString()));
  }
  return false;
}

// 0 for those that only safetensors knows.
int64_t BytesOf(const std::string& dtype) {
  static const auto* const kBytes = new std::map<std::string, int64_t>{
      {"F64", 8},  {"I64", 8}, {"F32", 4}, {"I32", 4}, {"F16", 2},
      {"BF16", 2}, {"I16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
  const auto found = kBytes->find(dtype);
  return found == kBytes->end() ? 0 : found->second;
}

bool LiesIn(absl::string_view part, absl::string_view whole) {
  return part.data() >= whole.data() &&
         part.data() + part.size() <= whole.data() + whole.size();
}

// Tensors lie in the file or in `copies`, which are no larger together than the
// file, and have the bytes that their shapes say.
absl::Status CheckTensors(absl::string_view bytes, const Tensors& tensors,
                          const std::deque<std::string>& copies) {
  size_t copied = 0;
  for (const std::string& copy : copies) copied += copy.size();
  if (copied > bytes.size()) return Broken("copies are larger than the file");
  for (const auto& [name, tensor] : tensors) {
    bool inside = tensor.bytes.empty() || LiesIn(tensor.bytes, bytes);
    for (const std::string& copy : copies) {
      inside = inside || LiesIn(tensor.bytes, copy);
    }
    if (!inside) return Broken("a tensor outside the file");
    const int64_t size = BytesOf(tensor.dtype);
    if (size > 0 &&
        static_cast<int64_t>(tensor.bytes.size()) != tensor.elements() * size) {
      return Broken(absl::StrCat("tensor ", name, " has ", tensor.bytes.size(),
                                 " bytes"));
    }
    const absl::StatusOr<std::vector<float>> floats = ToFloats(tensor);
    if (floats.ok() &&
        static_cast<int64_t>(floats->size()) != tensor.elements()) {
      return Broken("ToFloats gave another number of elements");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RunTorchCheckpoint(absl::string_view bytes) {
  std::deque<std::string> copies;
  Tensors tensors;
  const absl::Status status =
      ParseTorchCheckpoint(bytes, kSource, &copies, &tensors);
  if (!status.ok()) return Refused(status, kSource);
  KODISTIL_RETURN_IF_ERROR(CheckTensors(bytes, tensors, copies));
  return true;
}

template <typename T>
T Load(absl::string_view bytes, size_t at) {
  T value;
  memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

void Store(uint32_t value, size_t at, std::string* bytes) {
  bytes->replace(at, sizeof(value), reinterpret_cast<const char*>(&value),
                 sizeof(value));
}

// Makes the checksum of one member right, in the directory entry at `entry`,
// the local header and the data descriptor. False when it lies nowhere.
bool RepairMember(size_t entry, std::string* zip) {
  const uint64_t size = Load<uint32_t>(*zip, entry + 24);
  const uint64_t header = Load<uint32_t>(*zip, entry + 42);
  if (header + 30 > zip->size()) return false;
  const uint64_t data = header + 30 + Load<uint16_t>(*zip, header + 26) +
                        Load<uint16_t>(*zip, header + 28);
  if (data + size > zip->size()) return false;
  const uint32_t crc = ZipCrc32(absl::string_view(*zip).substr(data, size));
  Store(crc, entry + 16, zip);
  if (Load<uint32_t>(*zip, header + 14) != 0) Store(crc, header + 14, zip);
  if (data + size + 8 <= zip->size() &&
      zip->compare(data + size, 4, "PK\x07\x08") == 0) {
    Store(crc, data + size + 4, zip);
  }
  return true;
}

// The archive with right checksums, so that a mutation of a member's content
// gets past them.
std::string RepairZip(absl::string_view bytes) {
  constexpr int kMostMembers = 64;
  std::string zip(bytes);
  size_t at = zip.find("PK\x01\x02");
  for (int i = 0; i < kMostMembers && at != std::string::npos &&
                  zip.size() - at >= 46 && RepairMember(at, &zip);
       ++i) {
    at = zip.find("PK\x01\x02", at + 46);
  }
  return zip;
}

// A canonical dataset file with right checksums (docs/dataset_format.md).
std::string RepairDataset(absl::string_view bytes) {
  std::string file(bytes);
  if (file.size() < 40) return file;
  const uint32_t name = Load<uint32_t>(file, 28);
  if (name > file.size() - 40) return file;
  const absl::string_view view = file;
  Store(Crc32c(view.substr(40, name), Crc32c(view.substr(0, 36))), 36, &file);
  for (size_t at = 40 + name; file.size() - at >= 8;) {
    const uint32_t size = Load<uint32_t>(file, at);
    if (size > file.size() - at - 8) break;
    Store(Crc32c(absl::string_view(file).substr(at + 8, size)), at + 4, &file);
    at += 8 + size;
  }
  return file;
}

absl::StatusOr<bool> RunCanonicalDataset(absl::string_view bytes) {
  const absl::StatusOr<Dataset> dataset = ParseDataset(bytes, kSource);
  if (!dataset.ok()) return Refused(dataset.status(), kSource);
  const absl::StatusOr<Dataset> again =
      ParseDataset(SerializeDataset(*dataset), kSource);
  if (!again.ok() || again->Fingerprint() != dataset->Fingerprint()) {
    return Broken("a dataset is not what it was when written again");
  }
  return true;
}

absl::StatusOr<bool> RunTextDataset(absl::string_view bytes) {
  bool accepted = false;
  const absl::StatusOr<FileFormat> format = SniffFormat(bytes, kSource);
  if (!format.ok()) {
    KODISTIL_RETURN_IF_ERROR(Refused(format.status(), kSource).status());
  }
  for (const FileFormat each :
       {FileFormat::kNsmc, FileFormat::kNaverShopping, FileFormat::kSteam,
        FileFormat::kCsv, FileFormat::kLines}) {
    RowSink sink(/*skip_bad_rows=*/true);
    sink.BeginFile(kSource, Split::kTrain);
    const absl::Status status = ReadTextRows(each, bytes, kSource, &sink);
    if (!status.ok()) {
      KODISTIL_RETURN_IF_ERROR(Refused(status, kSource).status());
    }
    accepted = accepted || !sink.rows().empty();
    for (const Row& row : sink.rows()) {
      if (row.text.empty() || absl::StrContains(row.text, '\0')) {
        return Broken("a row's text is empty or has NUL");
      }
    }
  }
  return accepted;
}

}  // namespace

absl::StatusOr<bool> FuzzSafetensors(absl::string_view bytes) {
  Tensors tensors;
  std::map<std::string, std::string> metadata;
  const absl::Status status =
      ParseSafetensors(bytes, kSource, &tensors, &metadata);
  if (!status.ok()) return Refused(status, kSource);
  KODISTIL_RETURN_IF_ERROR(CheckTensors(bytes, tensors, {}));
  const std::string written = SerializeSafetensors(tensors, metadata);
  Tensors again;
  std::map<std::string, std::string> metadata_again;
  KODISTIL_RETURN_IF_ERROR(
      ParseSafetensors(written, kSource, &again, &metadata_again));
  if (SerializeSafetensors(again, metadata_again) != written ||
      again.size() != tensors.size()) {
    return Broken("a file is not what it was when written again");
  }
  return true;
}

absl::StatusOr<bool> FuzzTorchZip(absl::string_view bytes) {
  if (absl::StartsWith(bytes, "\x80")) {
    return RunTorchCheckpoint(MakeZip({{"a/data.pkl", std::string(bytes)},
                                       {"a/data/0", "0123456789abcdef01234567"},
                                       {"a/data/1", "01234567"},
                                       {"a/version", "3\n"}}));
  }
  KODISTIL_RETURN_IF_ERROR(RunTorchCheckpoint(bytes).status());
  return RunTorchCheckpoint(RepairZip(bytes));
}

absl::StatusOr<bool> FuzzTorchStream(absl::string_view bytes) {
  return RunTorchCheckpoint(bytes);
}

absl::StatusOr<bool> FuzzDataset(absl::string_view bytes) {
  if (!absl::StartsWith(bytes, "KODISTDS")) return RunTextDataset(bytes);
  KODISTIL_RETURN_IF_ERROR(RunCanonicalDataset(bytes).status());
  return RunCanonicalDataset(RepairDataset(bytes));
}

absl::StatusOr<bool> FuzzLogitRecord(absl::string_view bytes) {
  v1::LogitSetId id;
  id.set_teacher_fingerprint(std::string(64, 'a'));
  id.set_dataset("dataset");
  const std::string key = AppendIndex(LogitPrefix(id), /*index=*/42);
  bool accepted = false;
  for (const uint32_t classes : {0, 2, 3}) {
    v1::LogitRow row;
    const std::string record = SealRecord(key, bytes);
    const absl::Status status = OpenLogits(key, record, classes, &row);
    if (!status.ok()) {
      KODISTIL_RETURN_IF_ERROR(Refused(status, "logits").status());
      continue;
    }
    accepted = true;
    if (SealLogits(key, row) != record) {
      return Broken("a record is not what it was when written again");
    }
  }
  // As it is: without the checksum nothing may pass but by a chance of 2^-32.
  if (OpenRecord(key, bytes).ok()) return Broken("a checksum was made up");
  // Protobuf logs each field that is not UTF-8.
  const google::protobuf::LogSilencer silencer;
  const std::string dataset_key = DatasetKey("dataset");
  const absl::StatusOr<DatasetRecord> dataset =
      OpenDataset(dataset_key, SealRecord(dataset_key, bytes));
  if (dataset.ok()) return true;
  KODISTIL_RETURN_IF_ERROR(Refused(dataset.status(), "dataset").status());
  return accepted;
}

const std::vector<FuzzTarget>& FuzzTargets() {
  static const auto* const kTargets =
      new std::vector<FuzzTarget>{{"safetensors", FuzzSafetensors},
                                  {"torch_zip", FuzzTorchZip},
                                  {"torch_stream", FuzzTorchStream},
                                  {"dataset", FuzzDataset},
                                  {"logit_record", FuzzLogitRecord}};
  return *kTargets;
}

}  // namespace kodistil
