// Endings and particles of Korean words, as far as the sample needs them.

#ifndef KODISTIL_CORPUS_KOREAN_INFLECTION_H_
#define KODISTIL_CORPUS_KOREAN_INFLECTION_H_

#include <string>

#include "absl/strings/string_view.h"

namespace kodistil {

enum class PredicateKind {
  kAdjective,    // 좋다
  kVerb,         // 떨어지다
  kExistential,  // 재미있다, 재미없다
  kNoun,         // 명작 (이다); the stem is the noun
  kNotNoun,      // 아니다
};

// A predicate by its stem ("좋") and infinitive ("좋아"); what stands before it
// ("보고 싶지 " of "보고 싶지 않다") is the prefix.
struct Predicate {
  PredicateKind kind = PredicateKind::kAdjective;
  std::string stem;
  std::string infinitive;
  std::string prefix;
};

enum class Ending {
  kPlain,          // 좋다
  kPolite,         // 좋아요
  kFormal,         // 좋습니다
  kNominal,        // 좋음
  kExclaim,        // 좋네요
  kReport,         // 좋더라
  kPastPlain,      // 좋았다
  kPastPolite,     // 좋았어요
  kPastFormal,     // 좋았습니다
  kPastNominal,    // 좋았음
  kBut,            // 좋지만
  kPastBut,        // 좋았지만
  kBackground,     // 좋은데
  kAnd,            // 좋고
  kReason,         // 좋아서
  kQuote,          // 좋다고
  kAttributive,    // 좋은
  kProspective,    // 좋을
  kNounForm,       // 좋기
  kPastCondition,  // 좋았으면
};

// Rules for regular stems, and the irregular ones whose stem ends in ㅂ.
std::string Inflect(const Predicate& predicate, Ending ending);

// 좋다 -> 좋지 않다, 명작이다 -> 명작이 아니다. `particle` comes after 지: "",
// "는" or "도".
Predicate Negate(const Predicate& predicate, absl::string_view particle);

// Whether the last syllable ends in a consonant; true for other than Hangul.
bool EndsInConsonant(absl::string_view text);

// `word` with 이 or 가, 은 or 는, 을 or 를, and so on.
std::string WithParticle(absl::string_view word,
                         absl::string_view after_consonant,
                         absl::string_view after_vowel);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_KOREAN_INFLECTION_H_
