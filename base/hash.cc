#include "base/hash.h"

#include <openssl/evp.h>
#include <string.h>

#include <array>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"

namespace kodistil {

struct Sha256::State {
  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(new State{EVP_MD_CTX_new()}) {
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}

Sha256::~Sha256() { EVP_MD_CTX_free(state_->context); }

void Sha256::Update(absl::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

void Sha256::UpdateUint64(uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  Update(absl::string_view(bytes, sizeof(bytes)));
}

void Sha256::UpdateField(absl::string_view bytes) {
  UpdateUint64(bytes.size());
  Update(bytes);
}

std::string Sha256::Finish() {
  std::string digest(32, '\0');
  unsigned int size = 32;
  EVP_DigestFinal_ex(state_->context,
                     reinterpret_cast<unsigned char*>(&digest[0]), &size);
  return digest;
}

std::string Sha256::FinishHex() { return absl::BytesToHexString(Finish()); }

std::string Sha256Raw(absl::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

std::string Sha256Hex(absl::string_view bytes) {
  return absl::BytesToHexString(Sha256Raw(bytes));
}

absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path) {
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return Sha256Hex(file.bytes());
}

namespace {

std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table;
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0u);
    }
    table[i] = value;
  }
  return table;
}

uint32_t ExtendPortable(uint32_t crc, absl::string_view bytes) {
  static const std::array<uint32_t, 256> table = MakeCrcTable();
  for (const char c : bytes) {
    crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xFF] ^ (crc >> 8);
  }
  return crc;
}

#if defined(__x86_64__)
// SSE 4.2 has an instruction for this polynomial.
__attribute__((target("sse4.2"))) uint32_t ExtendByWords(
    uint32_t crc, absl::string_view* bytes) {
  uint64_t value = crc;
  while (bytes->size() >= sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, bytes->data(), sizeof(word));
    value = __builtin_ia32_crc32di(value, word);
    bytes->remove_prefix(sizeof(word));
  }
  return static_cast<uint32_t>(value);
}

bool HasCrcInstruction() {
  static const bool has = __builtin_cpu_supports("sse4.2");
  return has;
}
#else
uint32_t ExtendByWords(uint32_t crc, absl::string_view* bytes) { return crc; }
bool HasCrcInstruction() { return false; }
#endif

}  // namespace

uint32_t Crc32c(absl::string_view bytes, uint32_t crc) {
  crc = ~crc;
  if (HasCrcInstruction()) crc = ExtendByWords(crc, &bytes);
  return ~ExtendPortable(crc, bytes);
}

uint64_t Fingerprint64(absl::string_view bytes) {
  const std::string digest = Sha256Raw(bytes);
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    value = (value << 8) | static_cast<uint8_t>(digest[i]);
  }
  return value;
}

namespace {

uint64_t SplitMix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t MixSeed(uint64_t seed, uint64_t a, uint64_t b) {
  return SplitMix(SplitMix(SplitMix(seed) ^ a) ^ b);
}

Pcg32::Pcg32(uint64_t seed, uint64_t stream)
    : state_(0), increment_((stream << 1) | 1) {
  Next();
  state_ += seed;
  Next();
}

uint32_t Pcg32::Next() {
  const uint64_t old = state_;
  state_ = old * 6364136223846793005ull + increment_;
  const uint32_t shifted = static_cast<uint32_t>(((old >> 18) ^ old) >> 27);
  const uint32_t rotation = static_cast<uint32_t>(old >> 59);
  return (shifted >> rotation) | (shifted << ((32 - rotation) & 31));
}

uint32_t Pcg32::Below(uint32_t bound) {
  const uint32_t threshold = (0u - bound) % bound;
  for (;;) {
    const uint32_t value = Next();
    if (value >= threshold) return value % bound;
  }
}

double Pcg32::Uniform() { return Next() * (1.0 / 4294967296.0); }

}  // namespace kodistil
