// Digests and checksums: SHA-256 names content, CRC-32C guards records, a
// 64-bit mix seeds random streams.

#ifndef KODISTIL_BASE_HASH_H_
#define KODISTIL_BASE_HASH_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// Incremental SHA-256. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(absl::string_view bytes);
  // Little-endian fixed-width integers, so that digests of structures do not
  // depend on the host.
  void UpdateUint64(uint64_t value);
  // A length-prefixed string: no two lists of fields give the same stream.
  void UpdateField(absl::string_view bytes);

  // 32 raw bytes. Call once, last.
  std::string Finish();
  // 64 lower-case hexadecimal digits. Call once, last.
  std::string FinishHex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
std::string Sha256Hex(absl::string_view bytes);
// SHA-256 of `bytes`, 32 raw bytes.
std::string Sha256Raw(absl::string_view bytes);
// SHA-256 of a file's content in hexadecimal; NOT_FOUND or INTERNAL names the
// path.
absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path);

// CRC-32C (Castagnoli, RFC 3720) of `bytes`, continuing from `crc`.
uint32_t Crc32c(absl::string_view bytes, uint32_t crc = 0);

// The first 64 bits of SHA-256 of the text.
uint64_t Fingerprint64(absl::string_view bytes);

// SplitMix64's finaliser over `seed` and up to two counters: independent
// streams from one seed (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014).
uint64_t MixSeed(uint64_t seed, uint64_t a, uint64_t b = 0);

// PCG-XSH-RR 32 (O'Neill, 2014): small, seedable, the same everywhere. Not
// thread-safe.
class Pcg32 {
 public:
  explicit Pcg32(uint64_t seed, uint64_t stream = 0);
  uint32_t Next();
  // Uniform in [0, bound), bound > 0, without modulo bias.
  uint32_t Below(uint32_t bound);
  // Uniform in [0, 1).
  double Uniform();

 private:
  uint64_t state_;
  uint64_t increment_;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_HASH_H_
