#include "coordinator/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/little_endian.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kCrcBytes = 4;

// Takes the data of the first record off `bytes`; false when there is no whole
// and undamaged one.
bool TakeRecord(absl::string_view* bytes, absl::string_view* data) {
  constexpr size_t kHead = kLengthBytes + kCrcBytes;
  if (bytes->size() < kHead + kCrcBytes) return false;
  const absl::string_view length = bytes->substr(0, kLengthBytes);
  if (LittleEndian(bytes->substr(kLengthBytes, kCrcBytes)) !=
      MaskedCrc32c(length)) {
    return false;
  }
  const uint64_t size = LittleEndian(length);
  if (size > bytes->size() - kHead - kCrcBytes) return false;
  if (size > std::numeric_limits<int>::max()) return false;  // no event
  *data = bytes->substr(kHead, size);
  if (LittleEndian(bytes->substr(kHead + size, kCrcBytes)) !=
      MaskedCrc32c(*data)) {
    return false;
  }
  bytes->remove_prefix(kHead + size + kCrcBytes);
  return true;
}

}  // namespace

uint32_t MaskedCrc32c(absl::string_view bytes) {
  const uint32_t crc = Crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

std::string FrameRecord(absl::string_view data) {
  std::string record;
  AppendLittleEndian(data.size(), kLengthBytes, &record);
  AppendLittleEndian(MaskedCrc32c(record), kCrcBytes, &record);
  record.append(data.data(), data.size());
  AppendLittleEndian(MaskedCrc32c(data), kCrcBytes, &record);
  return record;
}

std::string FrameEvent(const v1::TensorboardEvent& event) {
  return FrameRecord(event.SerializeAsString());
}

EventFile ParseEvents(absl::string_view bytes) {
  EventFile file;
  absl::string_view rest = bytes, data;
  while (TakeRecord(&rest, &data)) {
    v1::TensorboardEvent event;
    if (!event.ParseFromArray(data.data(), static_cast<int>(data.size()))) {
      break;
    }
    file.events.push_back(std::move(event));
    file.valid_bytes = bytes.size() - rest.size();
  }
  file.whole = file.valid_bytes == bytes.size();
  return file;
}

absl::Status AppendRecords(const std::string& path, absl::string_view records) {
  const int fd =
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": open"));
  const absl::Cleanup close_it = [fd] { close(fd); };
  while (!records.empty()) {
    const ssize_t written = write(fd, records.data(), records.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": write"));
    }
    records.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> EventFilesOf(
    const std::string& folder) {
  std::vector<std::string> paths;
  if (!IsDirectory(folder)) return paths;
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(folder));
  // The names begin with their time, and are sorted.
  for (const std::string& name : names) {
    if (!absl::StrContains(name, "tfevents")) continue;
    paths.push_back(JoinPath(folder, name));
  }
  return paths;
}

std::string EventFileName(int64_t unix_seconds, int number) {
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  return absl::StrFormat("events.out.tfevents.%010d.%s.%d.%d", unix_seconds,
                         host, getpid(), number);
}

}  // namespace kodistil
