// A flat, memory-mapped copy of one logit set, made by one scan: what a trainer
// reads.

#ifndef KODISTIL_LOGIT_STORE_SNAPSHOT_H_
#define KODISTIL_LOGIT_STORE_SNAPSHOT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/access.h"
#include "base/files.h"

namespace kodistil {

struct SnapshotSource {
  std::string address;  // host:port of the logit store; not part of the digest
  // Or the canonical text of a mix of several: see teacher_mix.h.
  std::string teacher_fingerprint;
  std::string dataset;              // name in the store
  std::string dataset_fingerprint;  // what the caller's dataset has
  AccessOptions access = {};        // of the connection; not part of the digest
};

// Movable; thread-safe to read.
class LogitSnapshot {
 public:
  // Opens <cache_dir>/logits/<digest of the source>.klog; makes it by one Scan
  // when it is not there (once, whoever asks: others wait). FAILED_PRECONDITION
  // when the store's dataset is another one, rows are missing (the message
  // names the first ranges) or the teachers of a mix differ in their classes,
  // UNAVAILABLE when the store cannot be reached. A mix is computed from the
  // snapshots of its teachers, which stay beside it.
  static absl::StatusOr<LogitSnapshot> OpenOrFetch(
      const std::string& cache_dir, const SnapshotSource& source);

  // Opens the file of `source` at `path`. NOT_FOUND, DATA_LOSS for a file that
  // is damaged or of another source, FAILED_PRECONDITION for a newer version.
  static absl::StatusOr<LogitSnapshot> Open(const std::string& path,
                                            const SnapshotSource& source);

  uint32_t row_count() const { return row_count_; }
  uint32_t num_classes() const { return num_classes_; }
  // Logits of row `index`: float32 [num_classes].
  absl::Span<const float> Logits(uint32_t index) const {
    return {logits_ + size_t{index} * num_classes_, num_classes_};
  }

 private:
  MappedFile file_;
  uint32_t row_count_ = 0;
  uint32_t num_classes_ = 0;
  const float* logits_ = nullptr;  // [row_count, num_classes]
};

// Where OpenOrFetch keeps the snapshot of `source`.
std::string SnapshotPath(const std::string& cache_dir,
                         const SnapshotSource& source);

// Writes a snapshot atomically. logits: [rows, num_classes].
absl::Status WriteSnapshot(const std::string& path,
                           const SnapshotSource& source, uint32_t num_classes,
                           absl::Span<const float> logits);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_SNAPSHOT_H_
