// A strict reader of ZIP archives whose members are stored, not compressed:
// what PyTorch's torch.save writes.

#ifndef KODISTIL_BASE_STORED_ZIP_H_
#define KODISTIL_BASE_STORED_ZIP_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// Members by name, pointing into `bytes`, a whole file. Everything is checked
// first: lengths, checksums, that local headers agree with the directory and
// that members do not overlap. DATA_LOSS naming `source`, the member and the
// byte when the archive is damaged; INVALID_ARGUMENT when it uses what
// torch.save never does (compression, encryption, duplicate names, names that
// leave the archive, more than 65,536 members).
absl::StatusOr<std::map<std::string, absl::string_view>> ParseStoredZip(
    absl::string_view bytes, const std::string& source);

// CRC-32 of ZIP and Ethernet (IEEE 802.3; not CRC-32C).
uint32_t ZipCrc32(absl::string_view bytes);

}  // namespace kodistil

#endif  // KODISTIL_BASE_STORED_ZIP_H_
