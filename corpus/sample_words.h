// The words of the generated sample reviews.

#ifndef KODISTIL_CORPUS_SAMPLE_WORDS_H_
#define KODISTIL_CORPUS_SAMPLE_WORDS_H_

#include <string>
#include <vector>

#include "corpus/korean_inflection.h"

namespace kodistil {

// Films, shops, games.
inline constexpr int kSampleDomains = 3;

using WordList = std::vector<std::string>;

// Lists that come in two polarities are indexed by it: 0 bad, 1 good. Earlier
// words of a list are meant to be more frequent.
struct SampleDomain {
  WordList things;       // what a review is about: 영화, 작품, ...
  WordList aspects;      // what it speaks of: 연기, 스토리, ...
  WordList fillers;      // clauses that say nothing about quality
  WordList verdicts[2];  // nouns: 졸작, 명작
  std::vector<Predicate> predicates[2];  // of an aspect
  std::vector<Predicate> phrases[2];     // whole clauses
  // Nouns that are good (1) or bad (0) when there is much of them.
  WordList scaled[2];
};

struct SampleWords {
  SampleDomain domains[kSampleDomains];
  std::vector<Predicate> predicates[2];  // of any domain's aspects
  std::vector<Predicate> scales[2];      // 적다, 많다: little, much
  WordList intensifiers;
  WordList hedges;    // 별로 and 그다지, only before a negation
  WordList openings;  // 솔직히, ...
  WordList turns;     // 하지만, 그래도, ...: the next sentence decides
  WordList verdict_openings;  // 결론은, 한마디로, ...
  WordList people;            // 다들, 친구는, ...
  WordList name_syllables;
  WordList emoticons[2];
  WordList neutral_emoticons;
  WordList punctuation;
};

// Made once; lives for ever.
const SampleWords& GetSampleWords();

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SAMPLE_WORDS_H_
