#include "corpus/unicode.h"

#include <glog/logging.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

namespace kodistil {
namespace {

constexpr char32_t kCapitalIWithDot = 0x0130;
constexpr char32_t kCombiningDotAbove = 0x0307;

// The last Unicode version that each tokenizer's category tables know; ICU's
// own are newer. Python 3.11 has 14.0, Rust's unicode_categories 0.1 has 8.0.
constexpr int kSlowUnicodeVersion = 14;
constexpr int kFastUnicodeVersion = 8;

bool IsAsciiPunctuation(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}

// BertTokenizerFast has U+2B920 where the slow one has U+2B820.
bool IsCjk(char32_t c, UnicodeRules rules) {
  const char32_t extension_e = rules == UnicodeRules::kFast ? 0x2B920 : 0x2B820;
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= extension_e && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// The general category, U_UNASSIGNED for a code point newer than the tables of
// the tokenizer that is followed.
int CategoryOf(char32_t c, UnicodeRules rules) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  const int newest =
      rules == UnicodeRules::kFast ? kFastUnicodeVersion : kSlowUnicodeVersion;
  if (age[0] > newest) return U_UNASSIGNED;
  return u_charType(static_cast<UChar32>(c));
}

bool IsDropped(char32_t c, int category, UnicodeRules rules) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c == 0 || c == kReplacementCharacter) return true;
  const uint32_t mask = U_MASK(category);
  if (rules == UnicodeRules::kSlow) return (mask & U_GC_C_MASK) != 0;
  // Rust's is_other() leaves unassigned code points alone.
  return (mask & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0;
}

uint8_t FlagIf(bool condition, CharFlag flag) {
  return condition ? static_cast<uint8_t>(flag) : uint8_t{0};
}

icu::UnicodeString ToIcu(const std::u32string& text) {
  return icu::UnicodeString::fromUTF32(
      reinterpret_cast<const UChar32*>(text.data()),
      static_cast<int32_t>(text.size()));
}

std::u32string NormalizeWith(const icu::Normalizer2* normalizer,
                             const std::u32string& text, UErrorCode error) {
  CHECK(U_SUCCESS(error)) << "ICU has no normalisation data: "
                          << u_errorName(error);
  const icu::UnicodeString normalized =
      normalizer->normalize(ToIcu(text), error);
  CHECK(U_SUCCESS(error)) << u_errorName(error);
  std::u32string out;
  out.reserve(text.size());
  for (int32_t i = 0; i < normalized.length();
       i = normalized.moveIndex32(i, 1)) {
    out.push_back(static_cast<char32_t>(normalized.char32At(i)));
  }
  return out;
}

}  // namespace

char32_t NextUncommonCodePoint(absl::string_view text, size_t* pos) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  UChar32 c;
  U8_NEXT_OR_FFFD(bytes, *pos, text.size(), c);
  return static_cast<char32_t>(c);
}

void AppendUtf8(char32_t c, std::string* out) {
  char buffer[U8_MAX_LENGTH];
  int length = 0;
  U8_APPEND_UNSAFE(buffer, length, c);
  out->append(buffer, length);
}

void AppendLowerCase(char32_t c, std::u32string* out) {
  if (c == kCapitalIWithDot) {
    out->push_back('i');
    out->push_back(kCombiningDotAbove);
    return;
  }
  out->push_back(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
}

std::u32string ToNfc(const std::u32string& text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  return NormalizeWith(nfc, text, error);
}

std::u32string ToNfd(const std::u32string& text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(error);
  return NormalizeWith(nfd, text, error);
}

const CharTable& CharTable::Get(UnicodeRules rules) {
  static const CharTable* const fast = new CharTable(UnicodeRules::kFast);
  static const CharTable* const slow = new CharTable(UnicodeRules::kSlow);
  return rules == UnicodeRules::kFast ? *fast : *slow;
}

CharTable::CharTable(UnicodeRules rules) : rules_(rules), flags_(kTableSize) {
  for (char32_t c = 0; c < kTableSize; ++c) flags_[c] = Compute(c);
}

uint8_t CharTable::Compute(char32_t c) const {
  const auto code = static_cast<UChar32>(c);
  const int category = CategoryOf(c, rules_);
  const uint32_t mask = U_MASK(category);
  const bool reorders = u_getCombiningClass(code) != 0;
  const auto quick_check = [code](UProperty property) {
    return u_getIntPropertyValue(code, property) == UNORM_YES;
  };
  return FlagIf(IsDropped(c, category, rules_), kCharDropped) |
         FlagIf(u_hasBinaryProperty(code, UCHAR_WHITE_SPACE), kCharSpace) |
         FlagIf(IsAsciiPunctuation(c) || (mask & U_GC_P_MASK) != 0,
                kCharPunctuation) |
         FlagIf(IsCjk(c, rules_), kCharCjk) |
         FlagIf(c == kCapitalIWithDot || u_tolower(code) != code,
                kCharHasLower) |
         FlagIf((mask & U_GC_MN_MASK) != 0, kCharNonspacing) |
         FlagIf(reorders || !quick_check(UCHAR_NFC_QUICK_CHECK),
                kCharMaybeNotNfc) |
         FlagIf(reorders || !quick_check(UCHAR_NFD_QUICK_CHECK),
                kCharMaybeNotNfd);
}

}  // namespace kodistil
