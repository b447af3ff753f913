#include "corpus/utf8.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// Length of the well-formed sequence at the start of `text`, 0 if ill-formed.
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : 0;
  };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) return continues(1) ? 2 : 0;
  const uint8_t second = byte(1);
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (second < low || second > high || !continues(2)) return 0;
  if (lead < 0xF0) return 3;
  return continues(3) ? 4 : 0;
}

bool IsBlankCodePoint(uint32_t c) {
  return c <= 0x20 || (c >= 0x7F && c <= 0xA0) ||
         (c >= 0x2000 && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F) ||
         (c >= 0x205F && c <= 0x2064) || c == 0x3000 || c == 0xFEFF;
}

}  // namespace

size_t WellFormedUtf8Prefix(absl::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    const size_t length = SequenceLength(text.substr(position));
    if (length == 0) return position;
    position += length;
  }
  return position;
}

std::string Utf8Tail(absl::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    text.remove_prefix(text.size() - max_bytes);
    for (int i = 0; i < 3 && !text.empty() && (text[0] & 0xC0) == 0x80; ++i) {
      text.remove_prefix(1);
    }
  }
  std::string tail;
  tail.reserve(text.size());
  while (!text.empty()) {
    const size_t well_formed = WellFormedUtf8Prefix(text);
    tail.append(text.data(), well_formed);
    text.remove_prefix(well_formed);
    if (text.empty()) break;
    tail.push_back('?');
    text.remove_prefix(1);
  }
  return tail;
}

int64_t CountCharacters(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<uint8_t>(byte) & 0xc0) != 0x80;
  });
}

std::string TextLengthProblem(absl::string_view text, int64_t max_characters) {
  // Bytes are at least as many as characters.
  if (text.size() <= static_cast<size_t>(max_characters)) return "";
  const int64_t characters = CountCharacters(text);
  if (characters <= max_characters) return "";
  return absl::StrCat("the text has ", characters,
                      " characters, expected at most ", max_characters);
}

bool IsBlank(absl::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    const size_t length = SequenceLength(text.substr(position));
    if (length == 0) return false;
    uint32_t code_point = static_cast<uint8_t>(text[position]);
    if (length > 1) code_point &= 0xFF >> (length + 1);
    for (size_t i = 1; i < length; ++i) {
      code_point =
          (code_point << 6) | (static_cast<uint8_t>(text[position + i]) & 0x3F);
    }
    if (!IsBlankCodePoint(code_point)) return false;
    position += length;
  }
  return true;
}

}  // namespace kodistil
