#include "teacher_service/token_network.h"

#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// An unknown limit (0) allows every value from 0.
bool IsOutside(int64_t value, int64_t limit) {
  return value < 0 || (limit > 0 && value >= limit);
}

}  // namespace

absl::Status CheckBatch(const TokenNetworkInfo& info, const TokenBatch& batch) {
  const size_t size = batch.rows * batch.columns;
  if (batch.rows < 1 || batch.columns < 1 || batch.ids.size() != size ||
      batch.mask.size() != size || batch.type_ids.size() != size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a batch of ", batch.rows, " x ", batch.columns, " with ",
                     batch.ids.size(), " ids, ", batch.mask.size(),
                     " mask values and ", batch.type_ids.size(), " types"));
  }
  for (const int64_t padding : batch.trailing_padding) {
    if (padding >= 0 && padding <= (1 << 24)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("trailing padding of ", padding, " tokens"));
  }
  if (!batch.trailing_padding.empty() &&
      static_cast<int64_t>(batch.trailing_padding.size()) != batch.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("trailing padding of ", batch.trailing_padding.size(),
                     " rows in a batch of ", batch.rows));
  }
  if (info.max_positions > 0 && batch.columns > info.max_positions) {
    return absl::InvalidArgumentError(absl::StrCat("a row of ", batch.columns,
                                                   " tokens, the model takes ",
                                                   info.max_positions));
  }
  for (int64_t row = 0; row < batch.rows; ++row) {
    int64_t tokens = 0;
    for (int64_t i = row * batch.columns; i < (row + 1) * batch.columns; ++i) {
      tokens += batch.mask[i];
      if (IsOutside(batch.ids[i], info.vocab_size)) {
        return absl::InvalidArgumentError(
            absl::StrCat("row ", row, ": id ", batch.ids[i],
                         ", the vocabulary has ", info.vocab_size));
      }
      if (IsOutside(batch.type_ids[i], info.type_vocab_size)) {
        return absl::InvalidArgumentError(
            absl::StrCat("row ", row, ": token type ", batch.type_ids[i],
                         ", the model has ", info.type_vocab_size));
      }
      if (batch.mask[i] != 0 && batch.mask[i] != 1) {
        return absl::InvalidArgumentError(absl::StrCat(
            "row ", row, ": mask value ", batch.mask[i], ", expected 0 or 1"));
      }
    }
    if (tokens == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row, " has no token"));
    }
  }
  return absl::OkStatus();
}

}  // namespace kodistil
