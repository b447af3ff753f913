#include "teacher_service/ngram_features.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/hash.h"

namespace kodistil {
namespace {

constexpr uint32_t kSpace = ' ';
// Bytes outside UTF-8 stand above all code points.
constexpr uint32_t kByteBase = 0x110000;

// The code point that begins at text[*position], which moves past it.
uint32_t NextCodePoint(absl::string_view text, size_t* position) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(*position);
  const int more = lead < 0x80           ? 0
                   : (lead >> 5) == 0x6  ? 1
                   : (lead >> 4) == 0xe  ? 2
                   : (lead >> 3) == 0x1e ? 3
                                         : -1;
  if (more < 0 || *position + more >= text.size()) {
    ++*position;
    return kByteBase + lead;
  }
  uint32_t code = more == 0 ? lead : lead & (0x3f >> more);
  for (int i = 1; i <= more; ++i) {
    if ((byte(*position + i) & 0xc0) != 0x80) {
      ++*position;
      return kByteBase + lead;
    }
    code = (code << 6) | (byte(*position + i) & 0x3f);
  }
  *position += more + 1;
  return code;
}

bool IsSpace(uint32_t code) {
  return code == ' ' || (code >= 0x9 && code <= 0xd) || code == 0xa0 ||
         code == 0x3000 || (code >= 0x2000 && code <= 0x200a);
}

void Decode(const NgramShape& shape, absl::string_view text,
            std::vector<uint32_t>* codes) {
  codes->clear();
  if (shape.mark_edges) codes->push_back(kSpace);
  for (size_t position = 0; position < text.size();) {
    uint32_t code = NextCodePoint(text, &position);
    if (IsSpace(code)) {
      if (!codes->empty() && codes->back() == kSpace) continue;
      code = kSpace;
    } else if (shape.lower_case && code >= 'A' && code <= 'Z') {
      code += 'a' - 'A';
    }
    codes->push_back(code);
  }
  if (shape.mark_edges && codes->back() != kSpace) codes->push_back(kSpace);
}

void AppendHashes(const NgramShape& shape, absl::Span<const uint32_t> codes,
                  uint64_t seed, std::vector<uint64_t>* hashes) {
  for (size_t begin = 0; begin < codes.size(); ++begin) {
    const size_t end =
        std::min(codes.size(), begin + static_cast<size_t>(shape.max_n));
    uint64_t state = seed;
    for (size_t i = begin; i < end; ++i) {
      state = MixSeed(state, codes[i] + 1);
      if (static_cast<int>(i - begin) + 1 >= shape.min_n) {
        hashes->push_back(state);
      }
    }
  }
}

}  // namespace

absl::Status NgramShape::Validate() const {
  if (min_n < 1 || max_n < min_n || max_n > 16) {
    return absl::InvalidArgumentError(
        absl::StrCat("n-grams of ", min_n, " to ", max_n,
                     " characters: expected 1 <= min_n <= max_n <= 16"));
  }
  return absl::OkStatus();
}

void CountNgrams(const NgramShape& shape, absl::string_view text,
                 absl::string_view second_text,
                 std::vector<NgramCount>* result) {
  thread_local std::vector<uint32_t> codes;
  thread_local std::vector<uint64_t> hashes;
  hashes.clear();
  result->clear();
  Decode(shape, text, &codes);
  AppendHashes(shape, codes, /*seed=*/1, &hashes);
  if (!second_text.empty()) {
    Decode(shape, second_text, &codes);
    AppendHashes(shape, codes, /*seed=*/2, &hashes);
  }
  std::sort(hashes.begin(), hashes.end());
  for (const uint64_t hash : hashes) {
    if (result->empty() || result->back().hash != hash) {
      result->push_back({hash, 0});
    }
    ++result->back().count;
  }
}

double NgramTermWeight(uint32_t count, float idf) {
  return (count == 1 ? 1.0 : 1.0 + std::log(count)) * idf;
}

HashIndex::HashIndex(absl::Span<const uint64_t> hashes) {
  size_t slots = 2;
  while (slots < 2 * hashes.size()) slots *= 2;
  slots_.resize(slots);
  mask_ = slots - 1;
  for (size_t i = 0; i < hashes.size(); ++i) {
    size_t slot = hashes[i] & mask_;
    while (slots_[slot].position != kAbsent) slot = (slot + 1) & mask_;
    slots_[slot] = {hashes[i], static_cast<uint32_t>(i)};
  }
}

uint32_t HashIndex::Find(uint64_t hash) const {
  if (slots_.empty()) return kAbsent;
  for (size_t slot = hash & mask_;; slot = (slot + 1) & mask_) {
    if (slots_[slot].position == kAbsent) return kAbsent;
    if (slots_[slot].hash == hash) return slots_[slot].position;
  }
}

}  // namespace kodistil
