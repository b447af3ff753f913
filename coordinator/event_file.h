// TensorBoard's event files: framed records that are only ever appended.

#ifndef KODISTIL_COORDINATOR_EVENT_FILE_H_
#define KODISTIL_COORDINATOR_EVENT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kodistil/v1/tensorboard.pb.h"

namespace kodistil {

// CRC-32C as TensorFlow's record files hold it: rotated and shifted, so that
// the checksum of data that holds checksums is no trivial one
// (tensorflow/core/lib/hash/crc32c.h).
uint32_t MaskedCrc32c(absl::string_view bytes);

// length u64 | masked crc of the length u32 | data | masked crc of the data
// u32, little-endian.
std::string FrameRecord(absl::string_view data);

// The record with the event.
std::string FrameEvent(const v1::TensorboardEvent& event);

struct EventFile {
  std::vector<v1::TensorboardEvent> events;
  // Where the first record that is damaged or cut off begins; the size of the
  // file when there is none. Readers see nothing from there on.
  size_t valid_bytes = 0;
  bool whole = false;
};

// The events up to the first bad record.
EventFile ParseEvents(absl::string_view bytes);

// Appends `records` to `path`, made where it is missing. On an error, which
// names the path, the file may end in half a record: append no more to it.
absl::Status AppendRecords(const std::string& path, absl::string_view records);

// Paths of the event files in a folder, oldest first; none where there is no
// such folder.
absl::StatusOr<std::vector<std::string>> EventFilesOf(
    const std::string& folder);

// "events.out.tfevents.0000001234.host.pid.7".
std::string EventFileName(int64_t unix_seconds, int number);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_EVENT_FILE_H_
