#include "student_trainer/batch_sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/hash.h"

namespace kodistil {
namespace {

constexpr int kBatchesPerChunk = 50;

template <typename T>
void Shuffle(Pcg32* random, std::vector<T>* values) {
  for (size_t i = values->size(); i > 1; --i) {
    std::swap((*values)[i - 1],
              (*values)[random->Below(static_cast<uint32_t>(i))]);
  }
}

void CutIntoBatches(const std::vector<uint32_t>& order, int batch_size,
                    std::vector<std::vector<uint32_t>>* batches) {
  for (size_t begin = 0; begin < order.size(); begin += batch_size) {
    const size_t end = std::min(order.size(), begin + batch_size);
    batches->emplace_back(order.begin() + begin, order.begin() + end);
  }
}

}  // namespace

std::vector<std::vector<uint32_t>> TrainingBatches(
    const std::vector<uint32_t>& rows, int batch_size, uint64_t seed,
    uint64_t epoch, const RowLength& length) {
  Pcg32 random(MixSeed(seed, epoch));
  std::vector<uint32_t> order = rows;
  Shuffle(&random, &order);
  const size_t chunk = static_cast<size_t>(batch_size) * kBatchesPerChunk;
  for (size_t begin = 0; begin < order.size(); begin += chunk) {
    const size_t end = std::min(order.size(), begin + chunk);
    std::stable_sort(
        order.begin() + begin, order.begin() + end,
        [&](uint32_t a, uint32_t b) { return length(a) > length(b); });
  }
  std::vector<std::vector<uint32_t>> batches;
  CutIntoBatches(order, batch_size, &batches);
  Shuffle(&random, &batches);
  return batches;
}

std::vector<std::vector<uint32_t>> EvaluationBatches(
    const std::vector<uint32_t>& rows, int batch_size,
    const RowLength& length) {
  std::vector<uint32_t> order = rows;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return length(a) > length(b);
  });
  std::vector<std::vector<uint32_t>> batches;
  CutIntoBatches(order, batch_size, &batches);
  return batches;
}

void PackBatch(absl::Span<const uint32_t> rows, const RowTokens& tokens,
               PackedBatch* batch) {
  // Kept between batches, so that packing allocates nothing.
  static thread_local std::vector<int64_t> length_of, offsets;
  static thread_local std::vector<size_t> order;
  length_of.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    length_of[i] = static_cast<int64_t>(tokens(rows[i]).size());
  }
  order.resize(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return length_of[a] != length_of[b] ? length_of[a] > length_of[b] : a < b;
  });
  batch->rows.clear();
  batch->lengths.clear();
  for (size_t i : order) {
    batch->rows.push_back(rows[i]);
    batch->lengths.push_back(length_of[i]);
  }
  // batch_sizes[t] is the number of lengths above t.
  batch->batch_sizes.assign(rows.empty() ? 0 : batch->lengths[0], 0);
  for (int64_t length : batch->lengths) {
    for (int64_t t = 0; t < length; ++t) ++batch->batch_sizes[t];
  }
  offsets.resize(batch->batch_sizes.size());
  std::exclusive_scan(batch->batch_sizes.begin(), batch->batch_sizes.end(),
                      offsets.begin(), int64_t{0});
  batch->tokens.resize(std::accumulate(batch->lengths.begin(),
                                       batch->lengths.end(), int64_t{0}));
  for (size_t b = 0; b < batch->rows.size(); ++b) {
    const absl::Span<const uint16_t> row = tokens(batch->rows[b]);
    for (size_t t = 0; t < row.size(); ++t) {
      batch->tokens[offsets[t] + b] = row[t];
    }
  }
}

}  // namespace kodistil
