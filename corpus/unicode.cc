#include "corpus/unicode.h"

#include <glog/logging.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <memory>

namespace kodistil {
namespace {

constexpr char32_t kCapitalIWithDot = 0x0130;
constexpr char32_t kCombiningDotAbove = 0x0307;

// The last Unicode version that each tokenizer's category tables know; ICU's
// own are newer. Python 3.11 has 14.0, Rust's unicode_categories 0.1 has 8.0.
constexpr int kSlowUnicodeVersion = 14;
constexpr int kFastUnicodeVersion = 8;
// Of the crate unicode-normalization-alignments, which has tables of its own.
constexpr int kFastNormalFormVersion = 9;

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

namespace {

// The normaliser of ICU for the code points up to a version of Unicode.
class AgedNormalizer {
 public:
  AgedNormalizer(const char* name, UNormalization2Mode mode, int version) {
    UErrorCode error = U_ZERO_ERROR;
    const std::string pattern = "[:age=" + std::to_string(version) + ".0:]";
    known_ = std::make_unique<icu::UnicodeSet>(
        icu::UnicodeString::fromUTF8(pattern), error);
    known_->freeze();
    const icu::Normalizer2* all = icu::Normalizer2::getInstance(
        /*packageName=*/nullptr, name, mode, error);
    CHECK(U_SUCCESS(error))
        << "ICU has no normalisation data: " << u_errorName(error);
    filtered_ = std::make_unique<icu::FilteredNormalizer2>(*all, *known_);
  }

  void Normalize(std::string* text) const {
    if (std::all_of(text->begin(), text->end(),
                    [](char c) { return static_cast<uint8_t>(c) < 0x80; })) {
      return;
    }
    UErrorCode error = U_ZERO_ERROR;
    std::string out;
    icu::StringByteSink<std::string> sink(&out,
                                          static_cast<int32_t>(text->size()));
    filtered_->normalizeUTF8(/*options=*/0, *text, sink, /*edits=*/nullptr,
                             error);
    CHECK(U_SUCCESS(error)) << u_errorName(error);
    text->swap(out);
  }

 private:
  std::unique_ptr<icu::UnicodeSet> known_;
  std::unique_ptr<icu::FilteredNormalizer2> filtered_;
};

bool IsKnown(char32_t c, int version) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] <= version;
}

uint32_t CategoryMask(char32_t c) {
  return U_MASK(u_charType(static_cast<UChar32>(c)));
}

}  // namespace

void NormalizeUtf8(NormalForm form, std::string* text) {
  static const auto* const kForms = new std::array<AgedNormalizer, 4>{
      AgedNormalizer("nfc", UNORM2_COMPOSE, kFastNormalFormVersion),
      AgedNormalizer("nfc", UNORM2_DECOMPOSE, kFastNormalFormVersion),
      AgedNormalizer("nfkc", UNORM2_COMPOSE, kFastNormalFormVersion),
      AgedNormalizer("nfkc", UNORM2_DECOMPOSE, kFastNormalFormVersion)};
  (*kForms)[static_cast<int>(form)].Normalize(text);
}

void NormalizeLikePython(std::string* text) {
  static const auto* const kNfkd =
      new AgedNormalizer("nfkc", UNORM2_DECOMPOSE, kSlowUnicodeVersion);
  kNfkd->Normalize(text);
}

std::string WellFormed(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    AppendUtf8(NextCodePoint(text, &pos), &out);
  }
  return out;
}

bool IsWhiteSpace(char32_t c) {
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool IsLetter(char32_t c) { return (CategoryMask(c) & U_GC_L_MASK) != 0; }

bool IsNumber(char32_t c) { return (CategoryMask(c) & U_GC_N_MASK) != 0; }

bool IsWordCharacter(char32_t c) {
  constexpr uint32_t kMask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_isUAlphabetic(static_cast<UChar32>(c)) != 0 ||
         (CategoryMask(c) & kMask) != 0 ||
         u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_JOIN_CONTROL) != 0;
}

bool IsMark(char32_t c) {
  return (CategoryMask(c) & U_GC_M_MASK) != 0 &&
         IsKnown(c, kFastNormalFormVersion);
}

// The separators of files, groups, records and units are spaces to Python.
bool IsPythonSpace(char32_t c) {
  return IsWhiteSpace(c) || (c >= 0x1C && c <= 0x1F);
}

bool IsPythonDigit(char32_t c) {
  const int type =
      u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return (type == U_NT_DECIMAL || type == U_NT_DIGIT) &&
         IsKnown(c, kSlowUnicodeVersion);
}

bool IsPythonCombining(char32_t c) {
  return u_getCombiningClass(static_cast<UChar32>(c)) != 0 &&
         IsKnown(c, kSlowUnicodeVersion);
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
