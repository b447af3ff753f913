#include "student_trainer/checkpoint.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/format_version.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// magic, crc of the rest, version, then fields: each a length (u64) and bytes.
// Integers are little-endian; see docs/student_format.md.
constexpr absl::string_view kMagic = "KODCKPT1";
constexpr uint32_t kVersion = 1;

template <typename T>
void AppendRaw(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendField(absl::string_view bytes, std::string* out) {
  AppendRaw<uint64_t>(bytes.size(), out);
  out->append(bytes.data(), bytes.size());
}

void AppendFloats(const std::vector<float>& values, std::string* out) {
  AppendField({reinterpret_cast<const char*>(values.data()),
               values.size() * sizeof(float)},
              out);
}

template <typename T>
bool TakeRaw(absl::string_view* in, T* value) {
  if (in->size() < sizeof(T)) return false;
  std::memcpy(value, in->data(), sizeof(T));
  in->remove_prefix(sizeof(T));
  return true;
}

bool TakeField(absl::string_view* in, absl::string_view* field) {
  uint64_t size = 0;
  if (!TakeRaw(in, &size) || size > in->size()) return false;
  *field = in->substr(0, size);
  in->remove_prefix(size);
  return true;
}

bool TakeFloats(absl::string_view* in, std::vector<float>* values) {
  absl::string_view field;
  if (!TakeField(in, &field) || field.size() % sizeof(float) != 0) return false;
  values->resize(field.size() / sizeof(float));
  std::memcpy(values->data(), field.data(), field.size());
  return true;
}

// Of whatever run.
absl::StatusOr<Checkpoint> ReadAny(const std::string& folder) {
  const std::string path = CheckpointPath(folder);
  KODISTIL_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  absl::string_view in = file;
  uint32_t crc = 0;
  if (in.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError(absl::StrCat(path, ": byte 0: expected \"",
                                            kMagic,
                                            "\", a checkpoint's first bytes"));
  }
  in.remove_prefix(kMagic.size());
  if (!TakeRaw(&in, &crc) || Crc32c(in) != crc) {
    return absl::DataLossError(absl::StrCat(path, ": the checksum of its ",
                                            file.size(), " bytes is wrong"));
  }
  uint32_t version = 0;
  TakeRaw(&in, &version);
  const absl::Status known = CheckFormatVersion(
      {"checkpoint", 1, kVersion, "or delete it: training starts anew"}, path,
      version);
  if (!known.ok()) return absl::UnimplementedError(known.message());
  Checkpoint checkpoint;
  absl::string_view run, result;
  const bool read = TakeField(&in, &run) && TakeField(&in, &result) &&
                    TakeRaw(&in, &checkpoint.adam_steps) &&
                    TakeFloats(&in, &checkpoint.parameters) &&
                    TakeFloats(&in, &checkpoint.best) &&
                    TakeFloats(&in, &checkpoint.adam_mean) &&
                    TakeFloats(&in, &checkpoint.adam_square) && in.empty();
  if (!read || !checkpoint.result.ParseFromArray(
                   result.data(), static_cast<int>(result.size()))) {
    return absl::DataLossError(absl::StrCat(
        path, ": byte ", file.size() - in.size(), ": a field is malformed"));
  }
  checkpoint.run = std::string(run);
  return checkpoint;
}

}  // namespace

std::string CheckpointPath(const std::string& folder) {
  return JoinPath(folder, "checkpoint.kckpt");
}

absl::Status WriteCheckpoint(const Checkpoint& checkpoint,
                             const std::string& folder) {
  std::string body;
  AppendRaw<uint32_t>(kVersion, &body);
  AppendField(checkpoint.run, &body);
  AppendField(checkpoint.result.SerializeAsString(), &body);
  AppendRaw<int64_t>(checkpoint.adam_steps, &body);
  for (const auto* values : {&checkpoint.parameters, &checkpoint.best,
                             &checkpoint.adam_mean, &checkpoint.adam_square}) {
    AppendFloats(*values, &body);
  }
  std::string file(kMagic);
  AppendRaw<uint32_t>(Crc32c(body), &file);
  file += body;
  return WriteFileAtomically(CheckpointPath(folder), file);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& folder,
                                          const std::string& run) {
  KODISTIL_ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadAny(folder));
  if (checkpoint.run == run) return checkpoint;
  return absl::FailedPreconditionError(
      absl::StrCat(CheckpointPath(folder),
                   ": of another configuration, dataset or teacher"));
}

absl::StatusOr<uint32_t> CheckpointEpochs(const std::string& folder) {
  KODISTIL_ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadAny(folder));
  return checkpoint.result.epochs();
}

}  // namespace kodistil
