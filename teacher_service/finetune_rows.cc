#include "teacher_service/finetune_rows.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/splits.h"

namespace kodistil {
absl::StatusOr<FinetuneRows> EncodeDataset(const Dataset& dataset,
                                           const RowEncoder& encode,
                                           int num_classes, bool labelled) {
  FinetuneRows result;
  for (size_t i = 0; i < dataset.rows.size(); ++i) {
    const Row& row = dataset.rows[i];
    if (labelled && (row.label < 0 || row.label >= num_classes)) {
      return absl::InvalidArgumentError(absl::StrCat(
          dataset.name, ", row ", i, ": ",
          row.label == kNoLabel ? "no label"
                                : absl::StrCat("label ", row.label),
          ", expected 0 to ", num_classes - 1));
    }
    std::vector<FinetuneRow>& split = row.split == Split::kTest ? result.test
                                      : row.split == Split::kValid
                                          ? result.valid
                                          : result.train;
    split.push_back(encode(row));
    split.back().label = row.label;
    if (split.back().ids.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(dataset.name, ", row ", i,
                       ": the tokenizer makes no token of it, expected one "
                       "or more"));
    }
  }
  if (result.train.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        dataset.name, ": none of ", dataset.rows.size(),
        " rows is for training, expected at least one (see --split_mode)"));
  }
  return result;
}

std::vector<std::vector<uint32_t>> EpochBatches(uint32_t row_count,
                                                int batch_rows, uint64_t seed,
                                                uint64_t epoch) {
  const std::vector<uint32_t> order =
      SeededPermutation(row_count, MixSeed(seed, epoch));
  std::vector<std::vector<uint32_t>> batches;
  for (size_t begin = 0; begin < order.size(); begin += batch_rows) {
    const size_t end = std::min(order.size(), begin + batch_rows);
    batches.emplace_back(order.begin() + begin, order.begin() + end);
  }
  return batches;
}

TokenBatch MakeTokenBatch(const std::vector<FinetuneRow>& rows,
                          absl::Span<const uint32_t> batch, int32_t pad_id) {
  TokenBatch result;
  result.rows = batch.size();
  for (uint32_t row : batch) {
    result.columns = std::max<int64_t>(result.columns, rows[row].ids.size());
  }
  const size_t size = result.rows * result.columns;
  result.ids.assign(size, pad_id);
  result.mask.assign(size, 0);
  result.type_ids.assign(size, 0);
  for (size_t i = 0; i < batch.size(); ++i) {
    const FinetuneRow& row = rows[batch[i]];
    const size_t start = i * result.columns;
    std::copy(row.ids.begin(), row.ids.end(), result.ids.begin() + start);
    std::fill_n(result.mask.begin() + start, row.ids.size(), 1);
    std::copy(row.type_ids.begin(), row.type_ids.end(),
              result.type_ids.begin() + start);
  }
  return result;
}

MaskedTokens MaskTokens(const MaskingOptions& options, uint64_t seed,
                        uint64_t stream, TokenBatch* batch) {
  Pcg32 random(MixSeed(seed, stream, 1));
  // Candidates: position without padding, place in the padded batch.
  std::vector<std::pair<int64_t, size_t>> candidates;
  int64_t position = 0;
  for (size_t i = 0; i < batch->ids.size(); ++i) {
    if (batch->mask[i] == 0) continue;
    const bool special =
        std::count(options.special_ids.begin(), options.special_ids.end(),
                   batch->ids[i]) > 0;
    if (!special) candidates.emplace_back(position, i);
    ++position;
  }
  const size_t wanted =
      std::min(candidates.size(),
               std::max<size_t>(1, candidates.size() * options.rate + 0.5));
  for (size_t i = 0; i < wanted; ++i) {
    const size_t left = candidates.size() - i;
    std::swap(candidates[i], candidates[i + random.Below(left)]);
  }
  candidates.resize(wanted);
  std::sort(candidates.begin(), candidates.end());
  MaskedTokens result;
  for (const auto& [token, place] : candidates) {
    result.positions.push_back(token);
    result.targets.push_back(batch->ids[place]);
    const double draw = random.Uniform();
    if (draw < 0.8) {
      batch->ids[place] = options.mask_id;
    } else if (draw < 0.9) {
      batch->ids[place] = random.Below(options.vocab_size);
    }
  }
  return result;
}

}  // namespace kodistil
