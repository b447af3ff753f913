// Typing mistakes for the generated sample reviews.

#ifndef KODISTIL_CORPUS_SAMPLE_TYPOS_H_
#define KODISTIL_CORPUS_SAMPLE_TYPOS_H_

#include <string>

#include "base/hash.h"

namespace kodistil {

// Some texts lose spaces, and some syllables get a vowel that sounds alike
// (애 for 에), lose their final consonant, or are typed twice. The result is
// well-formed UTF-8 and not empty when `text` is.
std::string AddTypos(const std::string& text, Pcg32* random);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SAMPLE_TYPOS_H_
