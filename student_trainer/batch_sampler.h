// Which rows make up each batch of an epoch, and a batch's packed tokens. No
// LibTorch here.

#ifndef KODISTIL_STUDENT_TRAINER_BATCH_SAMPLER_H_
#define KODISTIL_STUDENT_TRAINER_BATCH_SAMPLER_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/types/span.h"

namespace kodistil {

// Length in tokens of a row, given its index.
using RowLength = std::function<int(uint32_t)>;
// Tokens of a row, valid until the next call, given its index.
using RowTokens = std::function<absl::Span<const uint16_t>(uint32_t)>;

// A random order of `rows` in batches of `batch_size` (one may be smaller)
// whose rows are of similar length: shuffle, cut into chunks of 50 batches,
// sort each chunk by length, cut into batches, shuffle those. Depends on the
// seed and the epoch alone.
std::vector<std::vector<uint32_t>> TrainingBatches(
    const std::vector<uint32_t>& rows, int batch_size, uint64_t seed,
    uint64_t epoch, const RowLength& length);

// `rows` sorted by length, longest first, in batches of `batch_size`.
std::vector<std::vector<uint32_t>> EvaluationBatches(
    const std::vector<uint32_t>& rows, int batch_size, const RowLength& length);

// A batch in the layout of torch.nn.utils.rnn.PackedSequence: rows longest
// first; `tokens` holds the first token of every row, then the second of every
// row that has one, and so on. No padding.
struct PackedBatch {
  std::vector<uint32_t> rows;        // [B]
  std::vector<int64_t> lengths;      // [B], descending
  std::vector<int64_t> tokens;       // [N], N the sum of lengths
  std::vector<int64_t> batch_sizes;  // [T], rows that have a token t
};

// Fills `batch`, reusing its memory. Every row must have a token.
void PackBatch(absl::Span<const uint32_t> rows, const RowTokens& tokens,
               PackedBatch* batch);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_BATCH_SAMPLER_H_
