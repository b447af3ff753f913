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

// Builds one review from a stream of random numbers.
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
    if (Chance(0.3)) AddFiller();
    const double kind = random_.Uniform();
    if (kind < 0.42) {
      WritePlain(good);
    } else if (kind < 0.66) {
      WriteContrast(good);
    } else if (kind < 0.80) {
      WriteVerdictLast(good);
    } else if (kind < 0.93) {
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

  // Earlier words are more frequent, as in language (Zipf).
  template <typename T>
  const T& Any(const std::vector<T>& list) {
    const double u = random_.Uniform();
    return list[static_cast<size_t>(u * (0.4 + 0.6 * u) * list.size())];
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
    if (!Chance(0.2)) {
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
    return Negate(Any(lists[1 - good]), particles[random_.Below(4)]);
  }

  // Everything before the last predicate goes to *front.
  Predicate Judge(int good, std::string* front) {
    const double kind = random_.Uniform();
    std::string adverb;
    if (kind < 0.46) {
      *front = Subject() + " ";
      const bool own = Chance(0.45);
      Predicate predicate = NegatedOrNot(
          own ? domain_.predicates : words_.predicates, good, &adverb);
      *front += adverb;
      return predicate;
    }
    if (kind < 0.70) return JudgeByAmount(good, front);
    if (kind < 0.87) {
      *front = Chance(0.25) ? Any(words_.intensifiers) + " " : "";
      return Any(domain_.phrases[good]);
    }
    const std::string thing =
        Chance(0.25) ? Name() : std::string(Any(domain_.things));
    *front = Chance(0.6) ? WithParticle(thing, "은 ", "는 ") : "";
    Predicate verdict;
    verdict.kind = PredicateKind::kNoun;
    if (Chance(0.15)) {
      verdict.stem = Any(domain_.verdicts[1 - good]);
      return Negate(verdict, "");
    }
    *front += Adverb();
    verdict.stem = Any(domain_.verdicts[good]);
    return verdict;
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

  void AddSentence(int good) {
    std::string sentence = Clause(good, FinalEnding());
    if (Chance(0.55)) sentence += Any(words_.punctuation);
    parts_.push_back(std::move(sentence));
  }

  void AddFiller() {
    const Ending ending =
        Chance(0.5) ? Ending::kBackground : style_.endings.back();
    Predicate past;  // the fillers' stems are in the past already
    past.kind = PredicateKind::kExistential;
    past.stem = Any(domain_.fillers);
    past.infinitive = past.stem + "어";
    std::string filler = ending == Ending::kBackground   ? past.stem + "는데"
                         : ending == Ending::kPastFormal ? past.stem + "습니다"
                         : ending == Ending::kPastNominal ? past.stem + "음"
                         : ending == Ending::kPastPolite  ? past.stem + "어요"
                                                          : past.stem + "다";
    if (Chance(0.2)) {
      filler = absl::StrCat(WithParticle(Name(), "을 ", "를 "), filler);
    }
    parts_.push_back(std::move(filler));
  }

  // One to three clauses that agree.
  void WritePlain(int good) {
    const int more = Chance(0.45) ? 0 : Chance(0.65) ? 1 : 2;
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
    if (Chance(0.25)) parts_.push_back(Clause(1 - good, Ending::kAnd));
    if (Chance(0.2)) {
      AddSentence(good);
      parts_.push_back("비록 " + Clause(1 - good, Ending::kBut));
      return;
    }
    if (Chance(0.15)) {
      std::string front;
      const Predicate predicate = Judge(1 - good, &front);
      parts_.push_back(absl::StrCat(
          front, Inflect(predicate, Ending::kNounForm), "는 한데"));
    } else {
      parts_.push_back(Clause(1 - good, buts[random_.Below(4)]));
    }
    AddSentence(good);
  }

  // Sentences of both kinds, then the one that counts.
  void WriteVerdictLast(int good) {
    AddSentence(1 - good);
    if (Chance(0.3)) AddSentence(Chance(0.5) ? good : 1 - good);
    parts_.push_back(Chance(0.6) ? Any(words_.turns)
                                 : Any(words_.verdict_openings));
    if (Chance(0.3)) parts_.push_back(Clause(good, Ending::kAnd));
    AddSentence(good);
  }

  // "Everybody says that ... is good": it is not what the writer says.
  void WriteOthersOpinion(int good) {
    const char* const says[] = {"하는데", "하지만", "해서 골랐는데", "들었는데",
                                "하던데"};
    if (Chance(0.7)) {
      parts_.push_back(absl::StrCat(Any(words_.people), " ",
                                    Clause(1 - good, Ending::kQuote), " ",
                                    says[random_.Below(5)]));
    } else {
      parts_.push_back(
          absl::StrCat(Clause(1 - good, Ending::kProspective), " 줄 알았는데"));
    }
    if (Chance(0.4)) parts_.push_back("저는");
    AddSentence(good);
  }

  // A clause of the other polarity that its frame turns round.
  void WriteTurnedPhrase(int good) {
    const int said = 1 - good;
    switch (random_.Below(4)) {
      case 0:
        parts_.push_back(Clause(said, Ending::kQuote) +
                         " 하는 사람들 이해가 안 가요");
        break;
      case 1:
        parts_.push_back(Clause(said, Ending::kQuote) + " 말한 사람 누구죠?");
        break;
      case 2:
        parts_.push_back(Clause(said, Ending::kNounForm) + "는커녕");
        AddSentence(good);
        break;
      default:
        parts_.push_back(Clause(said, Ending::kQuote) + " 하면 거짓말이다");
    }
  }

  // Faces agree with the verdict a little more often than not.
  void AddEmoticon(int good) {
    if (!Chance(0.33)) return;
    std::string face = Chance(0.45)   ? Any(words_.neutral_emoticons)
                       : Chance(0.72) ? Any(words_.emoticons[good])
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
