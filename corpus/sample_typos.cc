#include "corpus/sample_typos.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace kodistil {
namespace {

constexpr uint32_t kFirstSyllable = 0xAC00;
constexpr uint32_t kLastSyllable = 0xD7A3;
constexpr uint32_t kFinals = 28;
constexpr uint32_t kVowels = 21;

// Vowels by their place in Unicode's order, mistaken for each other: 애 에, 얘
// 예, 왜 외 웨, 의 이.
constexpr std::pair<uint32_t, uint32_t> kAlike[] = {
    {1, 5}, {5, 1}, {3, 7}, {7, 3}, {10, 11}, {11, 10}, {15, 11}, {19, 20}};

bool IsSyllable(uint32_t c) {
  return c >= kFirstSyllable && c <= kLastSyllable;
}

std::vector<uint32_t> Decode(const std::string& text) {
  std::vector<uint32_t> code_points;
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                                        : 4;
    uint32_t c = length == 1 ? lead : lead & (0xFF >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      c = (c << 6) | (static_cast<uint8_t>(text[i + k]) & 0x3F);
    }
    code_points.push_back(c);
    i += length;
  }
  return code_points;
}

void Append(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  const uint32_t lead = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
  out->push_back(static_cast<char>(lead | (c >> (6 * more))));
  for (int k = more - 1; k >= 0; --k) {
    out->push_back(static_cast<char>(0x80 | ((c >> (6 * k)) & 0x3F)));
  }
}

uint32_t SwapVowel(uint32_t c) {
  const uint32_t vowel = (c - kFirstSyllable) / kFinals % kVowels;
  for (const auto& [from, to] : kAlike) {
    if (vowel == from) return c - from * kFinals + to * kFinals;
  }
  return c;
}

void AppendMistyped(uint32_t c, Pcg32* random, std::string* out) {
  switch (random->Below(4)) {
    case 0:
    case 1:
      return Append(SwapVowel(c), out);
    case 2:
      return Append(c - (c - kFirstSyllable) % kFinals, out);
    default:
      Append(c, out);
      return Append(c, out);
  }
}

}  // namespace

std::string AddTypos(const std::string& text, Pcg32* random) {
  // Half of the people type well; others leave out spaces, as many do, or
  // mistype.
  const double style = random->Uniform();
  const double drop_space = style < 0.2 ? 1.0 : style < 0.5 ? 0.3 : 0.02;
  const double mistype = random->Uniform() < 0.3 ? 0.05 : 0.004;
  std::string out;
  for (const uint32_t c : Decode(text)) {
    if (c == ' ' && random->Uniform() < drop_space) continue;
    if (IsSyllable(c) && random->Uniform() < mistype) {
      AppendMistyped(c, random, &out);
    } else {
      Append(c, &out);
    }
  }
  return out;
}

}  // namespace kodistil
