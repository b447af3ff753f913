// Are two students different, or is it chance? Statistics of two models on the
// same test rows.

#ifndef KODISTIL_COORDINATOR_PAIRED_TEST_H_
#define KODISTIL_COORDINATOR_PAIRED_TEST_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "corpus/predictions.h"

namespace kodistil {

// Predictions, 64 rows a word, so that counting is quick.
class PredictionBits {
 public:
  explicit PredictionBits(const Predictions& predictions);

  size_t rows() const { return rows_; }
  const std::vector<uint64_t>& words() const { return words_; }

 private:
  size_t rows_;
  std::vector<uint64_t> words_;
};

// Rows by which of two models is right.
struct PairedCounts {
  uint64_t both = 0;
  uint64_t only_first = 0;
  uint64_t only_second = 0;
  uint64_t neither = 0;

  uint64_t rows() const { return both + only_first + only_second + neither; }
};

// Both must have the same number of rows.
PairedCounts CountPaired(const PredictionBits& first,
                         const PredictionBits& second);

// The two-sided p value of McNemar's exact test (McNemar, Psychometrika 12,
// 1947, with the binomial distribution in place of chi squared): how likely a
// split of the rows that only one has right is that is at least as uneven, when
// both models are equally good. 1 when there are no such rows.
double McNemarExact(uint64_t only_first, uint64_t only_second);

struct Interval {
  double low = 0;
  double high = 0;
};

// The 95 % interval of (accuracy of the first) - (accuracy of the second), as
// fractions: Newcombe, Improved confidence intervals for the difference between
// binomial proportions based on paired data, Statistics in Medicine 17, 1998,
// method 10 (Wilson's intervals, combined with the correlation of the pairs).
// 0 to 0 without rows.
Interval DifferenceInterval(const PairedCounts& counts);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_PAIRED_TEST_H_
