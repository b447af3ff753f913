#include "corpus/korean_inflection.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// Unicode's Hangul syllables: 28 final consonants, the first is none
// (The Unicode Standard, section 3.12).
constexpr uint32_t kFirstSyllable = 0xAC00;
constexpr uint32_t kLastSyllable = 0xD7A3;
constexpr uint32_t kFinals = 28;
constexpr uint32_t kFinalN = 4;
constexpr uint32_t kFinalL = 8;
constexpr uint32_t kFinalM = 16;
constexpr uint32_t kFinalB = 17;
constexpr uint32_t kFinalSs = 20;

// The last code point of three bytes, where a syllable would be; 0 if none.
uint32_t LastSyllable(absl::string_view text) {
  if (text.size() < 3) return 0;
  const auto byte = [&](size_t from_end) {
    return static_cast<uint32_t>(
        static_cast<uint8_t>(text[text.size() - from_end]));
  };
  if ((byte(3) & 0xF0) != 0xE0) return 0;
  const uint32_t code_point =
      ((byte(3) & 0x0F) << 12) | ((byte(2) & 0x3F) << 6) | (byte(1) & 0x3F);
  return code_point >= kFirstSyllable && code_point <= kLastSyllable
             ? code_point
             : 0;
}

uint32_t FinalOf(absl::string_view text) {
  const uint32_t syllable = LastSyllable(text);
  return syllable == 0 ? kFinals : (syllable - kFirstSyllable) % kFinals;
}

// `text`, whose last syllable has no final consonant, with `final`.
std::string WithFinal(const std::string& text, uint32_t final) {
  const uint32_t code_point = LastSyllable(text) + final;
  std::string result = text.substr(0, text.size() - 3);
  result.push_back(static_cast<char>(0xE0 | (code_point >> 12)));
  result.push_back(static_cast<char>(0x80 | ((code_point >> 6) & 0x3F)));
  result.push_back(static_cast<char>(0x80 | (code_point & 0x3F)));
  return result;
}

std::string Past(const std::string& past, Ending ending) {
  switch (ending) {
    case Ending::kPastPlain:
      return past + "다";
    case Ending::kPastPolite:
      return past + "어요";
    case Ending::kPastFormal:
      return past + "습니다";
    case Ending::kPastNominal:
      return past + "음";
    case Ending::kPastBut:
      return past + "지만";
    default:
      return past + "으면";
  }
}

// Forms of a noun with 이다; the 이 is dropped after a vowel where people do.
std::string InflectNoun(const std::string& noun, Ending ending) {
  const bool closed = EndsInConsonant(noun);
  const std::string stem = closed ? noun + "이" : noun;
  switch (ending) {
    case Ending::kPlain:
      return stem + "다";
    case Ending::kPolite:
      return noun + (closed ? "이에요" : "예요");
    case Ending::kFormal:
      return noun + "입니다";
    case Ending::kNominal:
      return noun + "임";
    case Ending::kExclaim:
      return stem + "네요";
    case Ending::kReport:
      return stem + "더라";
    case Ending::kBut:
      return stem + "지만";
    case Ending::kBackground:
      return noun + "인데";
    case Ending::kAnd:
      return stem + "고";
    case Ending::kReason:
      return stem + "라서";
    case Ending::kQuote:
      return stem + "라고";
    case Ending::kAttributive:
      return noun + "인";
    case Ending::kProspective:
      return noun + "일";
    case Ending::kNounForm:
      return noun + "이기";
    default:
      return Past(noun + (closed ? "이었" : "였"), ending);
  }
}

// A stem with an ending that joins it: `final` under an open last syllable,
// `closed` after a consonant. Stems in ㅂ that turn it into 우 drop it first.
std::string Join(const Predicate& predicate, uint32_t final,
                 absl::string_view open_rest, absl::string_view closed) {
  const std::string& stem = predicate.stem;
  if (FinalOf(stem) == 0) {
    return absl::StrCat(WithFinal(stem, final), open_rest);
  }
  if (FinalOf(stem) == kFinalB && absl::EndsWith(predicate.infinitive, "워")) {
    const std::string base =
        predicate.infinitive.substr(0, predicate.infinitive.size() - 3) + "우";
    return absl::StrCat(WithFinal(base, final), open_rest);
  }
  return absl::StrCat(stem, closed);
}

std::string PlainOf(const Predicate& predicate) {
  if (predicate.kind != PredicateKind::kVerb) return predicate.stem + "다";
  return FinalOf(predicate.stem) == 0
             ? WithFinal(predicate.stem, kFinalN) + "다"
             : predicate.stem + "는다";
}

std::string AttributiveOf(const Predicate& predicate) {
  if (predicate.kind == PredicateKind::kVerb ||
      predicate.kind == PredicateKind::kExistential) {
    return predicate.stem + "는";
  }
  return Join(predicate, kFinalN, "", "은");
}

std::string InflectStem(const Predicate& predicate, Ending ending) {
  const std::string& stem = predicate.stem;
  const bool not_noun = predicate.kind == PredicateKind::kNotNoun;
  switch (ending) {
    case Ending::kPlain:
      return PlainOf(predicate);
    case Ending::kPolite:
      return not_noun ? stem + "에요" : predicate.infinitive + "요";
    case Ending::kFormal:
      return FinalOf(stem) == 0 ? WithFinal(stem, kFinalB) + "니다"
                                : stem + "습니다";
    case Ending::kNominal:
      return Join(predicate, kFinalM, "", "음");
    case Ending::kExclaim:
      return stem + "네요";
    case Ending::kReport:
      return stem + "더라";
    case Ending::kBut:
      return stem + "지만";
    case Ending::kBackground:
      return AttributiveOf(predicate) + "데";
    case Ending::kAnd:
      return stem + "고";
    case Ending::kReason:
      return not_noun ? stem + "라서" : predicate.infinitive + "서";
    case Ending::kQuote:
      return not_noun ? stem + "라고" : PlainOf(predicate) + "고";
    case Ending::kAttributive:
      return AttributiveOf(predicate);
    case Ending::kProspective:
      return Join(predicate, kFinalL, "", "을");
    case Ending::kNounForm:
      return stem + "기";
    default:
      return Past(WithFinal(predicate.infinitive, kFinalSs), ending);
  }
}

}  // namespace

std::string Inflect(const Predicate& predicate, Ending ending) {
  return predicate.prefix + (predicate.kind == PredicateKind::kNoun
                                 ? InflectNoun(predicate.stem, ending)
                                 : InflectStem(predicate, ending));
}

Predicate Negate(const Predicate& predicate, absl::string_view particle) {
  Predicate negated;
  if (predicate.kind == PredicateKind::kNoun) {
    negated.kind = PredicateKind::kNotNoun;
    negated.prefix = absl::StrCat(
        predicate.prefix, WithParticle(predicate.stem, "이", "가"), " ");
    negated.stem = "아니";
    negated.infinitive = "아니어";
    return negated;
  }
  negated.kind = predicate.kind == PredicateKind::kVerb
                     ? PredicateKind::kVerb
                     : PredicateKind::kAdjective;
  negated.prefix =
      absl::StrCat(predicate.prefix, predicate.stem, "지", particle, " ");
  negated.stem = "않";
  negated.infinitive = "않아";
  return negated;
}

bool EndsInConsonant(absl::string_view text) { return FinalOf(text) != 0; }

std::string WithParticle(absl::string_view word,
                         absl::string_view after_consonant,
                         absl::string_view after_vowel) {
  return absl::StrCat(word,
                      EndsInConsonant(word) ? after_consonant : after_vowel);
}

}  // namespace kodistil
