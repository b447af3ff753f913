#include "coordinator/paired_test.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>

namespace kodistil {
namespace {

// The 97.5 % point of the standard normal distribution.
constexpr double kNormal = 1.959963984540054;

// Wilson's score interval of a proportion: Wilson, Probable inference, the law
// of succession, and statistical inference, JASA 22, 1927.
Interval Wilson(double count, double rows) {
  const double p = count / rows, z2 = kNormal * kNormal;
  const double centre = (p + z2 / (2 * rows)) / (1 + z2 / rows);
  const double half = kNormal *
                      std::sqrt(p * (1 - p) / rows + z2 / (4 * rows * rows)) /
                      (1 + z2 / rows);
  return {centre - half, centre + half};
}

// The correlation of the pairs, shrunk by half a row in `rows` where it is
// positive, as the method wants.
double Correlation(const PairedCounts& counts) {
  const double a = counts.both, b = counts.only_first, c = counts.only_second,
               d = counts.neither;
  const double product = (a + b) * (c + d) * (a + c) * (b + d);
  if (product == 0) return 0;
  double excess = a * d - b * c;
  if (excess > 0) excess = std::max(excess - counts.rows() / 2.0, 0.0);
  return excess / std::sqrt(product);
}

}  // namespace

PredictionBits::PredictionBits(const Predictions& predictions)
    : rows_(predictions.size()), words_((predictions.size() + 63) / 64) {
  for (size_t i = 0; i < rows_; ++i) {
    if (predictions[i]) words_[i / 64] |= uint64_t{1} << (i % 64);
  }
}

PairedCounts CountPaired(const PredictionBits& first,
                         const PredictionBits& second) {
  CHECK_EQ(first.rows(), second.rows());
  PairedCounts counts;
  for (size_t i = 0; i < first.words().size(); ++i) {
    const uint64_t a = first.words()[i], b = second.words()[i];
    counts.both += __builtin_popcountll(a & b);
    counts.only_first += __builtin_popcountll(a & ~b);
    counts.only_second += __builtin_popcountll(b & ~a);
  }
  counts.neither =
      first.rows() - counts.both - counts.only_first - counts.only_second;
  return counts;
}

double McNemarExact(uint64_t only_first, uint64_t only_second) {
  const double n = static_cast<double>(only_first + only_second);
  const double fewer = static_cast<double>(std::min(only_first, only_second));
  // The probability of `fewer` heads of n coins, then that of one less, and so
  // on until nothing is added.
  double term = std::exp(std::lgamma(n + 1) - std::lgamma(fewer + 1) -
                         std::lgamma(n - fewer + 1) - n * std::log(2.0));
  double sum = 0;
  for (double k = fewer; k >= 0; --k) {
    sum += term;
    if (term < 1e-18 * sum) break;
    term *= k / (n - k + 1);
  }
  return std::min(1.0, 2 * sum);
}

Interval DifferenceInterval(const PairedCounts& counts) {
  const double rows = counts.rows();
  if (rows == 0) return {};
  const double right1 = counts.both + counts.only_first;
  const double right2 = counts.both + counts.only_second;
  const double p1 = right1 / rows, p2 = right2 / rows;
  const Interval first = Wilson(right1, rows), second = Wilson(right2, rows);
  const double phi = Correlation(counts);
  const auto distance = [phi](double x, double y) {
    return std::sqrt(std::max(x * x - 2 * phi * x * y + y * y, 0.0));
  };
  const double difference = p1 - p2;
  return {difference - distance(p1 - first.low, second.high - p2),
          difference + distance(first.high - p1, p2 - second.low)};
}

}  // namespace kodistil
