#include "corpus/charsmap.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "corpus/unicode.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

// The parts of a unit of Darts (darts.h of darts-clone).
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Value(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t Label(uint32_t unit) { return unit & 0x800000FF; }
uint32_t Offset(uint32_t unit) {
  return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

// Whether nothing can be read outside of `units` or of `replacements`, whatever
// is looked up.
bool IsSound(const std::vector<uint32_t>& units,
             const std::string& replacements) {
  std::vector<bool> seen(units.size());
  std::vector<size_t> waiting = {0};
  seen[0] = true;
  while (!waiting.empty()) {
    const size_t place = waiting.back();
    waiting.pop_back();
    const size_t children = place ^ Offset(units[place]);
    // SentencePiece asks for any byte below `children` without a check.
    if ((children | 0xFF) >= units.size()) return false;
    if (HasLeaf(units[place])) {
      const uint32_t value = Value(units[children]);
      if (value >= replacements.size() ||
          (replacements[value] & 0xC0) == 0x80) {
        return false;
      }
    }
    for (uint32_t byte = 1; byte < 256; ++byte) {
      const size_t child = children ^ byte;
      if (Label(units[child]) != byte || seen[child]) continue;
      seen[child] = true;
      waiting.push_back(child);
    }
  }
  return true;
}

int BreakClass(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c),
                               UCHAR_GRAPHEME_CLUSTER_BREAK);
}

bool IsPictographic(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c),
                             UCHAR_EXTENDED_PICTOGRAPHIC) != 0;
}

bool IsControl(int type) {
  return type == U_GCB_CONTROL || type == U_GCB_CR || type == U_GCB_LF;
}

// Rules GB6 to GB8: a syllable of Hangul.
bool JoinsHangul(int before, int after) {
  switch (before) {
    case U_GCB_L:
      return after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV ||
             after == U_GCB_LVT;
    case U_GCB_LV:
    case U_GCB_V:
      return after == U_GCB_V || after == U_GCB_T;
    case U_GCB_LVT:
    case U_GCB_T:
      return after == U_GCB_T;
    default:
      return false;
  }
}

// Whether `after` goes on a cluster that ends with `before`, but for the rules
// that look further back.
bool Joins(int before, int after) {
  if (before == U_GCB_CR && after == U_GCB_LF) return true;  // GB3
  if (IsControl(before) || IsControl(after)) return false;   // GB4, GB5
  return JoinsHangul(before, after) || after == U_GCB_EXTEND ||
         after == U_GCB_ZWJ || after == U_GCB_SPACING_MARK ||
         before == U_GCB_PREPEND;  // GB9, GB9a, GB9b
}

}  // namespace

size_t GraphemeLength(absl::string_view text) {
  size_t end = 0;
  char32_t c = NextCodePoint(text, &end);
  int before = BreakClass(c);
  bool pictographic = IsPictographic(c);  // and what extends it
  bool half_flag = before == U_GCB_REGIONAL_INDICATOR;
  while (end < text.size()) {
    size_t next = end;
    c = NextCodePoint(text, &next);
    const int after = BreakClass(c);
    const bool emoji =
        pictographic && before == U_GCB_ZWJ && IsPictographic(c);      // GB11
    const bool flag = half_flag && after == U_GCB_REGIONAL_INDICATOR;  // GB12
    if (!emoji && !flag && !Joins(before, after)) break;
    half_flag = !flag && after == U_GCB_REGIONAL_INDICATOR;
    pictographic =
        IsPictographic(c) ||
        (pictographic && (after == U_GCB_EXTEND || after == U_GCB_ZWJ));
    before = after;
    end = next;
  }
  return end;
}

absl::StatusOr<Charsmap> Charsmap::Parse(absl::string_view blob,
                                         const std::string& where) {
  const auto fault = [&where](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": the precompiled_charsmap ", what));
  };
  uint32_t size = 0;  // little-endian, as every machine that runs this is
  if (blob.size() >= sizeof(size))
    std::memcpy(&size, blob.data(), sizeof(size));
  if (blob.size() < sizeof(size) || size == 0 || size % sizeof(uint32_t) != 0 ||
      size >= blob.size() - sizeof(size)) {
    return fault(absl::StrCat("of ", blob.size(), " bytes has an array of ",
                              size, ", expected a multiple of 4 below that"));
  }
  blob.remove_prefix(sizeof(size));
  Charsmap map;
  map.units_.resize(size / sizeof(uint32_t));
  std::memcpy(map.units_.data(), blob.data(), size);
  map.replacements_ = std::string(blob.substr(size));
  if (map.replacements_.back() != '\0') {
    return fault("does not end with a zero byte");
  }
  const size_t good = WellFormedUtf8Prefix(map.replacements_);
  if (good < map.replacements_.size()) {
    return fault(
        absl::StrCat("is not UTF-8 at byte ", good + size + sizeof(size)));
  }
  if (!IsSound(map.units_, map.replacements_)) {
    return fault("points outside of itself");
  }
  return map;
}

bool Charsmap::Find(absl::string_view key,
                    absl::string_view* replacement) const {
  size_t place = 0;
  place ^= Offset(units_[place]);
  for (const char c : key) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0) return false;
    place ^= byte;
    const uint32_t unit = units_[place];
    if (Label(unit) != byte) return false;
    place ^= Offset(unit);
    if (HasLeaf(unit)) {
      // Ended by the zero byte that Parse asks for.
      *replacement = replacements_.data() + Value(units_[place]);
      return true;
    }
  }
  return false;
}

void Charsmap::Normalize(std::string* text, bool* head_lost) const {
  constexpr size_t kLongestWhole = 5;  // bytes
  std::string out;
  out.reserve(text->size());
  const absl::string_view all = *text;
  for (size_t pos = 0; pos < all.size();) {
    const size_t length = GraphemeLength(all.substr(pos));
    const absl::string_view cluster = all.substr(pos, length);
    absl::string_view replacement;
    if (length <= kLongestWhole && Find(cluster, &replacement)) {
      absl::StrAppend(&out, replacement);
    } else {
      for (size_t i = 0; i < length;) {
        const size_t start = i;
        NextCodePoint(cluster, &i);
        const absl::string_view part = cluster.substr(start, i - start);
        absl::StrAppend(&out, Find(part, &replacement) ? replacement : part);
        if (pos + start == 0 && out.empty()) *head_lost = true;
      }
    }
    if (pos == 0 && out.empty()) *head_lost = true;
    pos += length;
  }
  text->swap(out);
}

}  // namespace kodistil
