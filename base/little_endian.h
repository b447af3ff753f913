// Whole numbers in files, their lowest byte first.

#ifndef KODISTIL_BASE_LITTLE_ENDIAN_H_
#define KODISTIL_BASE_LITTLE_ENDIAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace kodistil {

// Appends the `bytes` (0 to 8) lowest bytes of `value`.
inline void AppendLittleEndian(uint64_t value, size_t bytes, std::string* out) {
  for (size_t i = 0; i < bytes; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

// The number that `bytes`, 8 of them at most, hold.
inline uint64_t LittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  }
  return value;
}

}  // namespace kodistil

#endif  // KODISTIL_BASE_LITTLE_ENDIAN_H_
