#include "corpus/sample_generator.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"
#include "corpus/korean_inflection.h"
#include "corpus/sample_typos.h"
#include "corpus/sample_words.h"

namespace kodistil {
namespace {

constexpr double kLabelNoise = 0.08;
constexpr uint64_t kKnownNames = 500;  // good ones, and as many bad ones

// Endings of one way of speaking; a review keeps to it, mostly.
struct Style {
  std::vector<Ending> endings;
};

const std::vector<Style>& Styles() {
  static const auto* const styles = new std::vector<Style>{
      {{Ending::kPolite, Ending::kExclaim, Ending::kPastPolite}},
      {{Ending::kFormal, Ending::kPastFormal}},
      {{Ending::kPlain, Ending::kPastPlain, Ending::kReport}},
      {{Ending::kNominal, Ending::kPastNominal}},
      {{Ending::kPlain, Ending::kPolite, Ending::kNominal, Ending::kReport,
        Ending::kExclaim}},
  };
  return *styles;
}

// Builds one review from a stream of random numbers. No expression draws two
// numbers in an order that the compiler may choose.
class ReviewWriter {
 public:
  explicit ReviewWriter(Pcg32* random)
      : random_(*random),
        words_(GetSampleWords()),
        domain_(words_.domains[random->Below(kSampleDomains)]),
        style_(Styles()[random->Below(Styles().size())]) {}

  // A review whose verdict is `good` (0 or 1).
  std::string Write(int good) {
    if (Chance(0.16)) parts_.push_back(Any(words_.openings));
    if (Chance(0.36)) AddFiller();
    const double kind = random_.Uniform();
    if (kind < 0.955) {
      WritePlain(good);
    } else if (kind < 0.985) {
      WriteContrast(good);
    } else if (kind < 0.992) {
      WriteVerdictLast(good);
    } else if (kind < 0.997) {
      WriteOthersOpinion(good);
    } else {
      WriteTurnedPhrase(good);
    }
    if (Chance(0.1)) AddFiller();
    AddEmoticon(good);
    return absl::StrJoin(parts_, " ");
  }

 private:
  bool Chance(double probability) { return random_.Uniform() < probability; }

  // Earlier words are more frequent, as in language (Zipf). Integers alone, so
  // that every machine picks the same word.
  template <typename T>
  const T& Any(const std::vector<T>& list) {
    const uint64_t u = random_.Next();  // 32 bits
    const uint64_t skewed = (u * (((uint64_t{3} << 32) + 7 * u) / 10)) >> 32;
    const uint64_t size =
        common_words_ ? std::max<uint64_t>(list.size() / 4, 1) : list.size();
    return list[(skewed * size) >> 32];
  }

  std::string Name() {
    std::string name;
    const int syllables = 2 + random_.Below(3);
    for (int i = 0; i < syllables; ++i) name += Any(words_.name_syllables);
    return name;
  }

  std::string Subject() {
    std::string noun = Any(domain_.aspects);
    if (Chance(0.08)) noun = absl::StrCat(Name(), " ", noun);
    switch (random_.Below(6)) {
      case 0:
        return WithParticle(noun, "은", "는");
      case 1:
        return noun + "도";
      case 2:
        return noun;
      default:
        return WithParticle(noun, "이", "가");
    }
  }

  std::string Adverb() {
    return Chance(0.38) ? absl::StrCat(Any(words_.intensifiers), " ") : "";
  }

  // A predicate of polarity `good`, perhaps its opposite negated.
  Predicate NegatedOrNot(const std::vector<Predicate> (&lists)[2], int good,
                         std::string* adverb) {
    if (!Chance(common_words_ ? 0.02 : 0.06)) {
      *adverb = Adverb();
      return Any(lists[good]);
    }
    *adverb = Chance(0.5) ? absl::StrCat(Any(words_.hedges), " ") : "";
    if (Chance(0.3)) {
      const Predicate& opposite = Any(lists[1 - good]);
      if (opposite.kind == PredicateKind::kAdjective) {
        *adverb += "안 ";
        return opposite;
      }
    }
    const char* const particles[] = {"", "", "는", "도"};
    const Predicate& opposite = Any(lists[1 - good]);
    return Negate(opposite, particles[random_.Below(4)]);
  }

  // Everything before the last predicate goes to *front.
  Predicate Judge(int good, std::string* front) {
    const double kind = random_.Uniform();
    std::string adverb;
    if (common_words_ || kind < 0.42) {
      *front = Subject() + " ";
      const bool own = Chance(0.45);
      Predicate predicate = NegatedOrNot(
          own ? domain_.predicates : words_.predicates, good, &adverb);
      *front += adverb;
      return predicate;
    }
    if (kind < 0.455) return JudgeByAmount(good, front);
    if (kind < 0.68) return JudgeByName(good, front);
    if (kind < 0.86) {
      *front = Chance(0.25) ? Any(words_.intensifiers) + " " : "";
      return Any(domain_.phrases[good]);
    }
    const std::string thing =
        Chance(0.25) ? Name() : std::string(Any(domain_.things));
    *front = Chance(0.6) ? WithParticle(thing, "은 ", "는 ") : "";
    Predicate verdict;
    verdict.kind = PredicateKind::kNoun;
    if (Chance(0.07)) {
      verdict.stem = Any(domain_.verdicts[1 - good]);
      return Negate(verdict, "");
    }
    *front += Adverb();
    verdict.stem = Any(domain_.verdicts[good]);
    return verdict;
  }

  // "It is quite a ...": a name known for its good or bad work says it all.
  Predicate JudgeByName(int good, std::string* front) {
    Predicate predicate;
    predicate.kind = PredicateKind::kNoun;
    const char* const frames[] = {"급", " 수준", " 스타일", " 느낌", " 그대로"};
    predicate.stem = KnownName(good);
    predicate.stem += frames[random_.Below(5)];
    *front = Chance(0.5) ? Subject() + " " : "";
    if (Chance(0.3)) *front += Any(words_.intensifiers) + " ";
    return predicate;
  }

  // One of kKnownNames names of that fame: made from its number alone.
  std::string KnownName(int good) {
    const uint64_t u = random_.Next();
    const uint64_t number = (((u * u) >> 32) * kKnownNames) >> 32;
    Pcg32 own(MixSeed(/*seed=*/2024, number, good));
    std::string name;
    const int syllables = 2 + own.Below(3);
    for (int i = 0; i < syllables; ++i) {
      name += words_.name_syllables[own.Below(words_.name_syllables.size())];
    }
    return name;
  }

  // "There is much of ..." is good or bad by its noun: neither word alone says.
  Predicate JudgeByAmount(int good, std::string* front) {
    const int much = random_.Below(2);
    const std::string& noun = Any(domain_.scaled[much == 1 ? good : 1 - good]);
    *front = Chance(0.3)   ? noun + "도 "
             : Chance(0.3) ? noun + " "
                           : WithParticle(noun, "이 ", "가 ");
    std::string adverb;
    Predicate predicate = NegatedOrNot(words_.scales, much, &adverb);
    *front += adverb;
    return predicate;
  }

  std::string Clause(int good, Ending ending) {
    std::string front;
    const Predicate predicate = Judge(good, &front);
    return front + Inflect(predicate, ending);
  }

  Ending FinalEnding() {
    if (Chance(0.12)) return Styles().back().endings[random_.Below(5)];
    return style_.endings[random_.Below(style_.endings.size())];
  }

  // A clause that does not decide: people concede in usual words.
  std::string Concession(int good, Ending ending) {
    common_words_ = true;
    std::string clause = Clause(good, ending);
    common_words_ = false;
    return clause;
  }

  // The part that decides: one or more clauses.
  void AddConclusion(int good) {
    while (Chance(0.55)) parts_.push_back(Clause(good, Ending::kAnd));
    AddSentence(good);
  }

  void AddSentence(int good) {
    std::string sentence = Clause(good, FinalEnding());
    if (Chance(0.55)) sentence += Any(words_.punctuation);
    parts_.push_back(std::move(sentence));
  }

  void AddFiller() {
    std::string filler = Any(domain_.fillers);  // a stem in the past tense
    if (Chance(0.5)) {
      filler += "는데";
    } else {
      switch (style_.endings.back()) {
        case Ending::kPastPolite:
          filler += "어요";
          break;
        case Ending::kPastFormal:
          filler += "습니다";
          break;
        case Ending::kPastNominal:
          filler += "음";
          break;
        default:
          filler += "다";
      }
    }
    if (Chance(0.2)) {
      filler = absl::StrCat(WithParticle(Name(), "을 ", "를 "), filler);
    }
    parts_.push_back(std::move(filler));
  }

  // One to six clauses that agree.
  void WritePlain(int good) {
    const int more = Chance(0.17) ? 0 : Chance(0.5) ? 1 : 2 + random_.Below(4);
    for (int i = 0; i < more; ++i) {
      if (Chance(0.6)) {
        parts_.push_back(
            Clause(good, Chance(0.7) ? Ending::kAnd : Ending::kReason));
      } else {
        AddSentence(good);
      }
    }
    AddSentence(good);
  }

  // "... is good, but ... is bad": what comes after the turn decides, and "even
  // if" after the verdict decides nothing.
  void WriteContrast(int good) {
    const Ending buts[] = {Ending::kBut, Ending::kBut, Ending::kPastBut,
                           Ending::kBackground};
    if (Chance(0.25)) parts_.push_back(Concession(1 - good, Ending::kAnd));
    if (Chance(0.2)) {
      AddSentence(good);
      parts_.push_back("비록 " + Concession(1 - good, Ending::kBut));
      return;
    }
    if (Chance(0.15)) {
      parts_.push_back(Concession(1 - good, Ending::kNounForm) + "는 한데");
    } else {
      parts_.push_back(Concession(1 - good, buts[random_.Below(4)]));
    }
    AddConclusion(good);
  }

  // Sentences of both kinds, then the one that counts.
  void WriteVerdictLast(int good) {
    common_words_ = true;
    AddSentence(1 - good);
    common_words_ = false;
    if (Chance(0.3)) AddSentence(Chance(0.7) ? good : 1 - good);
    parts_.push_back(Chance(0.6) ? Any(words_.turns)
                                 : Any(words_.verdict_openings));
    AddConclusion(good);
  }

  // "Everybody says that ... is good": it is not what the writer says.
  void WriteOthersOpinion(int good) {
    const char* const says[] = {"하는데", "하지만", "해서 골랐는데", "들었는데",
                                "하던데"};
    if (Chance(0.7)) {
      std::string part = Any(words_.people) + " ";
      part += Concession(1 - good, Ending::kQuote) + " ";
      part += says[random_.Below(5)];
      parts_.push_back(std::move(part));
    } else {
      parts_.push_back(absl::StrCat(Concession(1 - good, Ending::kProspective),
                                    " 줄 알았는데"));
    }
    if (Chance(0.4)) parts_.push_back("저는");
    AddConclusion(good);
  }

  // A clause of the other polarity that its frame turns round.
  void WriteTurnedPhrase(int good) {
    const int said = 1 - good;
    switch (random_.Below(4)) {
      case 0:
        parts_.push_back(Concession(said, Ending::kQuote) +
                         " 하는 사람들 이해가 안 가요");
        break;
      case 1:
        parts_.push_back(Concession(said, Ending::kQuote) +
                         " 말한 사람 누구죠?");
        break;
      case 2:
        parts_.push_back(Concession(said, Ending::kNounForm) + "는커녕");
        AddConclusion(good);
        break;
      default:
        parts_.push_back(Concession(said, Ending::kQuote) + " 하면 거짓말이다");
    }
  }

  // Faces agree with the verdict a little more often than not.
  void AddEmoticon(int good) {
    if (!Chance(0.33)) return;
    std::string face = Chance(0.45)  ? Any(words_.neutral_emoticons)
                       : Chance(0.8) ? Any(words_.emoticons[good])
                                     : Any(words_.emoticons[1 - good]);
    if (Chance(0.6)) {
      parts_.back() += face;
    } else {
      parts_.push_back(std::move(face));
    }
  }

  Pcg32& random_;
  const SampleWords& words_;
  const SampleDomain& domain_;
  const Style& style_;
  bool common_words_ = false;
  std::vector<std::string> parts_;
};

}  // namespace

Row SampleRow(uint64_t seed, uint64_t index) {
  Pcg32 random(MixSeed(seed, index), /*stream=*/1);
  const int good = static_cast<int>(random.Below(2));
  Row row;
  row.text = AddTypos(ReviewWriter(&random).Write(good), &random);
  row.label = random.Uniform() < kLabelNoise ? 1 - good : good;
  return row;
}

Dataset GenerateSample(int64_t row_count, uint64_t seed) {
  Dataset dataset;
  dataset.name = "sample";
  dataset.rows.reserve(row_count);
  for (int64_t i = 0; i < row_count; ++i) {
    dataset.rows.push_back(SampleRow(seed, i));
  }
  return dataset;
}

}  // namespace kodistil
