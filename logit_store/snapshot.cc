#include "logit_store/snapshot.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/format_version.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/store_rules.h"
#include "logit_store/teacher_mix.h"

namespace kodistil {
namespace {

// The layout is specified in docs/logit_store_format.md.
constexpr absl::string_view kMagic = "KODILOGS";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;  // keeps the floats aligned
constexpr size_t kDigestAt = 24;
constexpr size_t kDigestBytes = 32;
constexpr size_t kDataCrcAt = 56;
constexpr size_t kHeaderCrcAt = 60;
constexpr int kMaxNamedRanges = 5;

// The address is left out: stores that hold the same teacher's logits of the
// same dataset hold the same logits.
std::string DigestOf(const SnapshotSource& source) {
  Sha256 hash;
  hash.UpdateField("kodistil logit snapshot 1");
  hash.UpdateField(source.teacher_fingerprint);
  hash.UpdateField(source.dataset_fingerprint);
  return hash.Finish();
}

template <typename T>
void Append(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

uint64_t GetUint(absl::string_view bytes, size_t at, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(bytes[at + i]);
  }
  return value;
}

absl::Status CheckFile(absl::string_view bytes, const std::string& path,
                       const SnapshotSource& source) {
  const auto damaged = [&path](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat("logit snapshot ", path, ": ", what));
  };
  if (bytes.size() < kHeaderBytes || bytes.substr(0, 8) != kMagic) {
    return damaged("the header is not one of a snapshot");
  }
  // First, so that a damaged version is no newer one: every version has its
  // checksum there.
  if (Crc32c(bytes.substr(0, kHeaderCrcAt)) !=
      GetUint(bytes, kHeaderCrcAt, 4)) {
    return damaged("the header's checksum does not match");
  }
  KODISTIL_RETURN_IF_ERROR(CheckFormatVersion(
      {"logit snapshot", 1, kVersion, "or delete it: it is fetched again"},
      path, GetUint(bytes, 8, 4)));
  if (bytes.substr(kDigestAt, kDigestBytes) != DigestOf(source)) {
    return damaged("it holds other logits than its name says");
  }
  const uint64_t classes = GetUint(bytes, 12, 4);
  const uint64_t rows = GetUint(bytes, 16, 8);
  const uint64_t expected = kHeaderBytes + rows * classes * sizeof(float);
  if (bytes.size() != expected) {
    return damaged(
        absl::StrCat("expected ", expected, " bytes, found ", bytes.size()));
  }
  if (Crc32c(bytes.substr(kHeaderBytes)) != GetUint(bytes, kDataCrcAt, 4)) {
    return damaged("the checksum of the logits does not match");
  }
  return absl::OkStatus();
}

absl::Status NameMissing(const SnapshotSource& source, uint64_t row_count,
                         const v1::MissingResponse& missing) {
  if (missing.count() == 0) return absl::OkStatus();
  std::string ranges;
  for (int i = 0; i < missing.ranges_size() && i < kMaxNamedRanges; ++i) {
    const v1::IndexRange& range = missing.ranges(i);
    absl::StrAppend(&ranges, i > 0 ? ", " : "", range.begin());
    if (range.end() - range.begin() > 1) {
      absl::StrAppend(&ranges, "-", range.end() - 1);
    }
  }
  if (missing.ranges_size() > kMaxNamedRanges) ranges += ", ...";
  return absl::FailedPreconditionError(
      absl::StrCat("dataset ", source.dataset, ": ", missing.count(), " of ",
                   row_count, " rows have no logits of teacher ",
                   source.teacher_fingerprint, " (rows ", ranges, ")"));
}

absl::Status Fetch(const std::string& path, const SnapshotSource& source) {
  LogitStoreClientOptions options;
  options.access = source.access;
  LogitStoreClient client(source.address, options);
  KODISTIL_ASSIGN_OR_RETURN(const v1::DescribeDatasetResponse dataset,
                            client.DescribeDataset(source.dataset));
  KODISTIL_RETURN_IF_ERROR(
      CheckFingerprint(dataset, source.dataset_fingerprint));
  v1::LogitSetId id;
  id.set_teacher_fingerprint(source.teacher_fingerprint);
  id.set_dataset(source.dataset);
  ScanOptions scan;
  scan.dataset_fingerprint = source.dataset_fingerprint;
  std::vector<float> logits;
  v1::MissingResponse missing;
  uint64_t next = 0;
  uint32_t num_classes = 0;
  KODISTIL_RETURN_IF_ERROR(client.Scan(
      id, scan, [&](const v1::LogitRow& row, const v1::DatasetRow*) {
        if (num_classes == 0) {
          num_classes = row.logits_size();
          logits.reserve(dataset.row_count() * num_classes);
        }
        AddMissing(next, row.index(), &missing);
        next = row.index() + 1;
        logits.insert(logits.end(), row.logits().begin(), row.logits().end());
        return absl::OkStatus();
      }));
  AddMissing(next, dataset.row_count(), &missing);
  KODISTIL_RETURN_IF_ERROR(NameMissing(source, dataset.row_count(), missing));
  return WriteSnapshot(path, source, num_classes, logits);
}

// The same bits whoever computes it: the text of the mix says in which order.
absl::Status WriteMean(const std::string& path, const SnapshotSource& source,
                       const TeacherMix& mix,
                       const std::vector<LogitSnapshot>& snapshots) {
  const uint32_t rows = snapshots.front().row_count();
  const uint32_t num_classes = snapshots.front().num_classes();
  std::vector<double> weights;
  for (size_t i = 0; i < mix.size(); ++i) {
    weights.push_back(mix[i].weight);
    if (snapshots[i].row_count() == rows &&
        snapshots[i].num_classes() == num_classes) {
      continue;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "teacher ", mix[0].teacher, " has ", rows, " rows of ", num_classes,
        " classes, teacher ", mix[i].teacher, " has ", snapshots[i].row_count(),
        " of ", snapshots[i].num_classes(), ": they have no mean"));
  }
  std::vector<float> mean;
  mean.reserve(size_t{rows} * num_classes);
  std::vector<absl::Span<const float>> logits(mix.size());
  for (uint32_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < mix.size(); ++i) {
      logits[i] = snapshots[i].Logits(row);
    }
    const std::vector<float> of_row = MeanLogits(weights, logits);
    mean.insert(mean.end(), of_row.begin(), of_row.end());
  }
  return WriteSnapshot(path, source, num_classes, mean);
}

absl::Status MakeMean(const std::string& cache_dir, const std::string& path,
                      const SnapshotSource& source) {
  KODISTIL_ASSIGN_OR_RETURN(const TeacherMix mix,
                            ParseTeacherMix(source.teacher_fingerprint));
  std::vector<LogitSnapshot> snapshots;
  for (const WeightedTeacher& member : mix) {
    SnapshotSource alone = source;
    alone.teacher_fingerprint = member.teacher;
    KODISTIL_ASSIGN_OR_RETURN(LogitSnapshot snapshot,
                              LogitSnapshot::OpenOrFetch(cache_dir, alone));
    snapshots.push_back(std::move(snapshot));
  }
  return WriteMean(path, source, mix, snapshots);
}

}  // namespace

absl::StatusOr<LogitSnapshot> LogitSnapshot::Open(
    const std::string& path, const SnapshotSource& source) {
  LogitSnapshot snapshot;
  KODISTIL_ASSIGN_OR_RETURN(snapshot.file_, MappedFile::Open(path));
  const absl::string_view bytes = snapshot.file_.bytes();
  KODISTIL_RETURN_IF_ERROR(CheckFile(bytes, path, source));
  snapshot.num_classes_ = GetUint(bytes, 12, 4);
  snapshot.row_count_ = GetUint(bytes, 16, 8);
  snapshot.logits_ =
      reinterpret_cast<const float*>(bytes.data() + kHeaderBytes);
  return snapshot;
}

absl::StatusOr<LogitSnapshot> LogitSnapshot::OpenOrFetch(
    const std::string& cache_dir, const SnapshotSource& source) {
  const std::string path = SnapshotPath(cache_dir, source);
  absl::StatusOr<LogitSnapshot> snapshot = Open(path, source);
  if (snapshot.ok()) return snapshot;
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(JoinPath(cache_dir, "logits")));
  KODISTIL_ASSIGN_OR_RETURN(const FileLock lock,
                            FileLock::Acquire(absl::StrCat(path, ".lock")));
  // Another process may have made it while this one waited. A newer program's
  // is not ours to replace.
  snapshot = Open(path, source);
  if (snapshot.ok() || absl::IsFailedPrecondition(snapshot.status())) {
    return snapshot;
  }
  if (IsTeacherMix(source.teacher_fingerprint)) {
    KODISTIL_RETURN_IF_ERROR(MakeMean(cache_dir, path, source));
  } else {
    KODISTIL_RETURN_IF_ERROR(Annotate(
        Fetch(path, source), absl::StrCat("logit store ", source.address)));
  }
  return Open(path, source);
}

std::string SnapshotPath(const std::string& cache_dir,
                         const SnapshotSource& source) {
  std::string name;
  for (const char c : DigestOf(source)) {
    absl::StrAppend(&name, absl::Hex(static_cast<uint8_t>(c), absl::kZeroPad2));
  }
  return JoinPath(JoinPath(cache_dir, "logits"), absl::StrCat(name, ".klog"));
}

absl::Status WriteSnapshot(const std::string& path,
                           const SnapshotSource& source, uint32_t num_classes,
                           absl::Span<const float> logits) {
  if (num_classes == 0 || logits.size() % num_classes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        logits.size(), " logits are no rows of ", num_classes, " classes"));
  }
  // Mapped as they are: every machine that we run on is little-endian.
  const absl::string_view data(reinterpret_cast<const char*>(logits.data()),
                               logits.size() * sizeof(float));
  std::string file(kMagic);
  file.reserve(kHeaderBytes + data.size());
  Append<uint32_t>(kVersion, &file);
  Append<uint32_t>(num_classes, &file);
  Append<uint64_t>(logits.size() / num_classes, &file);
  file += DigestOf(source);
  Append<uint32_t>(Crc32c(data), &file);
  Append<uint32_t>(Crc32c(file), &file);
  file.append(data.data(), data.size());
  return WriteFileAtomically(path, file);
}

}  // namespace kodistil
