// Code points: UTF-8 in and out, lower-casing, and the properties that BERT's
// normaliser asks for, from ICU.

#ifndef KODISTIL_CORPUS_UNICODE_H_
#define KODISTIL_CORPUS_UNICODE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kodistil {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

// The code point at `*pos` (which must be inside `text`), moving `*pos` behind
// it. Ill-formed bytes give U+FFFD, as the Unicode standard recommends
// (section 3.9, one for each maximal ill-formed part).
inline char32_t NextCodePoint(absl::string_view text, size_t* pos);

void AppendUtf8(char32_t c, std::string* out);

// Lower-cases one code point, without context: a capital sigma at the end of a
// word becomes U+03C3. Only U+0130 gives two code points.
void AppendLowerCase(char32_t c, std::u32string* out);

// Normalisation form C or D.
std::u32string ToNfc(const std::u32string& text);
std::u32string ToNfd(const std::u32string& text);

// Form NFC, NFD, NFKC or NFKD of a UTF-8 text. Code points that are newer than
// Unicode 9 stay as they are, as in Hugging Face's fast tokenizers.
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
void NormalizeUtf8(NormalForm form, std::string* text);
// NFKD as Python 3.11 has it (Unicode 14).
void NormalizeLikePython(std::string* text);

// `text` with U+FFFD for what is ill-formed in it.
std::string WellFormed(absl::string_view text);

// White_Space; the same in Rust (char::is_whitespace) and regular expressions.
bool IsWhiteSpace(char32_t c);
// Categories L and N, as regular expressions have them.
bool IsLetter(char32_t c);
bool IsNumber(char32_t c);
// What \w of a regular expression is (Unicode Technical Standard 18, annex C).
bool IsWordCharacter(char32_t c);
// Category M up to Unicode 9: what StripAccents of Hugging Face drops.
bool IsMark(char32_t c);
// What Python's str.split() and str.strip() take for white space.
bool IsPythonSpace(char32_t c);
// What Python's str.isdigit() says.
bool IsPythonDigit(char32_t c);
// Canonical combining class other than 0, up to Unicode 14: what Python's
// unicodedata.combining() says.
bool IsPythonCombining(char32_t c);

// Bits of CharTable::Flags.
enum CharFlag : uint8_t {
  kCharDropped = 1,       // removed by "clean text": control, format, ...
  kCharSpace = 2,         // separates words
  kCharPunctuation = 4,   // a word of its own
  kCharCjk = 8,           // an ideograph, optionally a word of its own
  kCharHasLower = 16,     // lower-casing changes it
  kCharNonspacing = 32,   // category Mn, an accent
  kCharMaybeNotNfc = 64,  // NFC may change a text that holds it
  kCharMaybeNotNfd = 128  // NFD may change a text that holds it
};

// Which of Hugging Face's two tokenizers is followed. Their Unicode tables are
// of different versions: docs/adr/0001-unicode-tables.md.
enum class UnicodeRules { kFast, kSlow };

// Properties of every code point under one set of rules. Immutable, so
// thread-safe.
class CharTable {
 public:
  // Made on first use (some milliseconds), never destroyed.
  static const CharTable& Get(UnicodeRules rules);

  uint8_t Flags(char32_t c) const {
    return c < kTableSize ? flags_[c] : Compute(c);
  }

 private:
  // The basic multilingual plane; others are looked up in ICU each time.
  static constexpr char32_t kTableSize = 0x10000;

  explicit CharTable(UnicodeRules rules);
  uint8_t Compute(char32_t c) const;

  const UnicodeRules rules_;
  std::vector<uint8_t> flags_;
};

// NextCodePoint for whatever it does not know itself.
char32_t NextUncommonCodePoint(absl::string_view text, size_t* pos);

// ASCII, and the well-formed sequences of three bytes from U+1000 on: Hangul is
// among them.
inline char32_t NextCodePoint(absl::string_view text, size_t* pos) {
  const auto byte = [text, start = *pos](size_t i) {
    return static_cast<uint8_t>(text[start + i]);
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    ++*pos;
    return lead;
  }
  if (lead > 0xE0 && lead < 0xF0 && text.size() - *pos >= 3) {
    const uint8_t second = byte(1), third = byte(2);
    const bool surrogate = lead == 0xED && second > 0x9F;
    if ((second & 0xC0) == 0x80 && (third & 0xC0) == 0x80 && !surrogate) {
      *pos += 3;
      return (lead & 0xF) << 12 | (second & 0x3F) << 6 | (third & 0x3F);
    }
  }
  return NextUncommonCodePoint(text, pos);
}

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_UNICODE_H_
