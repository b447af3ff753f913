// Which rows are for training, validation and testing.

#ifndef KODISTIL_CORPUS_SPLITS_H_
#define KODISTIL_CORPUS_SPLITS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace kodistil {

struct SplitFractions {
  double test = 0.1;    // of all rows, from 0 to below 1
  double valid = 0.05;  // of the rest, from 0 to below 1
};

struct SplitIndices {
  std::vector<uint32_t> train;
  std::vector<uint32_t> valid;
  std::vector<uint32_t> test;
};

// The order in which a Fisher-Yates shuffle seeded with `seed` leaves 0 to
// row_count - 1: the same on every machine.
std::vector<uint32_t> SeededPermutation(uint32_t row_count, uint64_t seed);

// Test rows are the first of a seeded permutation, valid rows the next, the
// rest is train. Both sizes are rounded up.
SplitIndices RatioSplit(uint32_t row_count, const SplitFractions& fractions,
                        uint64_t seed);

// The rows, in order, of scikit-learn's
//   train, test = train_test_split(rows, test_size=fractions.test,
//                                  random_state=random_state)
//   train, valid = train_test_split(train, test_size=fractions.valid,
//                                   random_state=random_state)
// FAILED_PRECONDITION when a part but valid would be empty, where scikit-learn
// fails too.
absl::StatusOr<SplitIndices> SklearnSplit(uint32_t row_count,
                                          const SplitFractions& fractions,
                                          uint32_t random_state);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SPLITS_H_
