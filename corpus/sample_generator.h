// The embedded default dataset: generated Korean reviews of films, shops and
// games. It is SYNTHETIC: made from word lists and rules, not written by
// people, so accuracies on it say nothing about real reviews.

#ifndef KODISTIL_CORPUS_SAMPLE_GENERATOR_H_
#define KODISTIL_CORPUS_SAMPLE_GENERATOR_H_

#include <cstdint>

#include "corpus/dataset.h"

namespace kodistil {

// Row `index` of the endless sample of `seed`: it depends on nothing else, so
// that a longer sample begins with the shorter one. Label 1 is positive; about
// one in twelve labels is wrong on purpose.
Row SampleRow(uint64_t seed, uint64_t index);

// The first `row_count` rows, named "sample", with no split.
Dataset GenerateSample(int64_t row_count, uint64_t seed);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SAMPLE_GENERATOR_H_
