#include "corpus/splits.h"

#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// scikit-learn's _validate_shuffle_split rounds the test size up.
uint32_t SizeOf(double fraction, size_t row_count) {
  return static_cast<uint32_t>(std::ceil(fraction * row_count));
}

// numpy.random.RandomState(seed).permutation(row_count): MT19937 seeded by
// init_genrand (which std::mt19937 is), and a Fisher-Yates shuffle from the end
// whose bounded integers come from masking and rejection (random_interval in
// numpy/random/src/distributions/distributions.c).
std::vector<uint32_t> LegacyNumpyPermutation(uint32_t row_count,
                                             uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<uint32_t> order(row_count);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = row_count; i-- > 1;) {
    uint32_t mask = i;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    uint32_t j;
    do {
      j = static_cast<uint32_t>(generator()) & mask;
    } while (j > i);
    std::swap(order[i], order[j]);
  }
  return order;
}

// One train_test_split of `rows` into *train and *test.
absl::Status TrainTestSplit(const std::vector<uint32_t>& rows, double fraction,
                            uint32_t random_state, std::vector<uint32_t>* train,
                            std::vector<uint32_t>* test) {
  const uint32_t test_size = SizeOf(fraction, rows.size());
  if (test_size >= rows.size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the sklearn split of ", rows.size(), " rows with test size ", fraction,
        " leaves no training rows"));
  }
  const std::vector<uint32_t> order =
      LegacyNumpyPermutation(rows.size(), random_state);
  for (size_t i = 0; i < order.size(); ++i) {
    (i < test_size ? test : train)->push_back(rows[order[i]]);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<uint32_t> SeededPermutation(uint32_t row_count, uint64_t seed) {
  std::vector<uint32_t> order(row_count);
  std::iota(order.begin(), order.end(), 0u);
  Pcg32 random(seed);
  for (uint32_t i = row_count; i-- > 1;) {
    std::swap(order[i], order[random.Below(i + 1)]);
  }
  return order;
}

SplitIndices RatioSplit(uint32_t row_count, const SplitFractions& fractions,
                        uint64_t seed) {
  const uint32_t test_size = SizeOf(fractions.test, row_count);
  const uint32_t valid_size = SizeOf(fractions.valid, row_count - test_size);
  const std::vector<uint32_t> order = SeededPermutation(row_count, seed);
  const auto test_end = order.begin() + test_size;
  const auto valid_end = test_end + valid_size;
  SplitIndices split;
  split.test.assign(order.begin(), test_end);
  split.valid.assign(test_end, valid_end);
  split.train.assign(valid_end, order.end());
  return split;
}

absl::StatusOr<SplitIndices> SklearnSplit(uint32_t row_count,
                                          const SplitFractions& fractions,
                                          uint32_t random_state) {
  std::vector<uint32_t> rows(row_count);
  std::iota(rows.begin(), rows.end(), 0u);
  SplitIndices split;
  std::vector<uint32_t> rest;
  KODISTIL_RETURN_IF_ERROR(
      TrainTestSplit(rows, fractions.test, random_state, &rest, &split.test));
  KODISTIL_RETURN_IF_ERROR(TrainTestSplit(rest, fractions.valid, random_state,
                                          &split.train, &split.valid));
  return split;
}

}  // namespace kodistil
