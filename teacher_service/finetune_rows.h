// Rows of token ids for training a teacher, their batches, and masking. No
// LibTorch here.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_ROWS_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_ROWS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "corpus/dataset.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// One row as the network reads it.
struct FinetuneRow {
  std::vector<int32_t> ids;       // [length], with special tokens
  std::vector<int32_t> type_ids;  // [length], or empty where all are 0
  int label = kNoLabel;
};

// Rows of each split, in the dataset's order.
struct FinetuneRows {
  std::vector<FinetuneRow> train, valid, test;
};

// The tokens of a row, special ones included, cut to the longest length.
using RowEncoder = std::function<FinetuneRow(const Row&)>;

// Rows of Split::kNone train. With `labelled`, a row without a label, or with
// one of `num_classes` or more, is INVALID_ARGUMENT naming it.
// FAILED_PRECONDITION when there is no row to train on.
absl::StatusOr<FinetuneRows> EncodeDataset(const Dataset& dataset,
                                           const RowEncoder& encode,
                                           int num_classes, bool labelled);

// Which rows make up each forward pass of an epoch: a permutation of
// 0 to row_count - 1 that depends on the seed and the epoch (from 0) alone, in
// batches of `batch_rows` (the last may be smaller).
std::vector<std::vector<uint32_t>> EpochBatches(uint32_t row_count,
                                                int batch_rows, uint64_t seed,
                                                uint64_t epoch);

// The rows of a batch, padded with `pad_id`.
TokenBatch MakeTokenBatch(const std::vector<FinetuneRow>& rows,
                          absl::Span<const uint32_t> batch, int32_t pad_id);

struct MaskingOptions {
  double rate = 0.15;  // of tokens that are no special ones
  int32_t mask_id = 0;
  // Never chosen: [CLS], [SEP] and the like.
  std::vector<int32_t> special_ids;
  int32_t vocab_size = 0;  // replacements are drawn from 0 to vocab_size - 1
};

// The tokens of a batch that are to be guessed.
struct MaskedTokens {
  // Positions among the batch's tokens, row after row without padding,
  // ascending; the ids that were there.
  std::vector<int64_t> positions;
  std::vector<int64_t> targets;
};

// Chooses `rate` of the tokens, at least one where there is any, and replaces
// 80 % of them by mask_id and 10 % by a random piece (Devlin et al., BERT,
// 2018, section 3.1). `stream` names the random numbers.
MaskedTokens MaskTokens(const MaskingOptions& options, uint64_t seed,
                        uint64_t stream, TokenBatch* batch);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_ROWS_H_
