// The rows of a batch without padding, one after the other.

#ifndef KODISTIL_TEACHER_SERVICE_PACKED_ROWS_H_
#define KODISTIL_TEACHER_SERVICE_PACKED_ROWS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// Consecutive rows of one length: a dense [rows, length] part of the tokens.
struct RowGroup {
  int64_t first_row = 0;
  int64_t first_token = 0;
  int64_t rows = 0;
  int64_t length = 0;   // tokens of each
  int64_t padding = 0;  // TokenBatch::trailing_padding of each

  int64_t tokens() const { return rows * length; }
};

// Rows in ascending order of length, so that groups are few.
struct PackedRows {
  std::vector<int64_t> ids;       // [tokens]
  std::vector<int64_t> type_ids;  // [tokens]
  std::vector<int64_t> columns;   // [tokens], place in the row, from 0
  std::vector<int64_t> source;    // [rows], row of the batch
  std::vector<RowGroup> groups;
  int64_t longest = 0;  // tokens of the longest row

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t rows() const { return static_cast<int64_t>(source.size()); }
  // Calls visit(row, first token, group).
  template <typename Visit>
  void ForEachRow(Visit visit) const {
    for (const RowGroup& group : groups) {
      for (int64_t i = 0; i < group.rows; ++i) {
        visit(group.first_row + i, group.first_token + i * group.length, group);
      }
    }
  }
};

// For a network that reads the last padding behind a row (XLNet): it becomes a
// token of the row, at its place.
struct KeptPadding {
  int64_t id = 0;
  int64_t type_id = 0;
};

// The type of padding in XLNet's tokenizer; no token has it.
inline constexpr int64_t kXlnetPaddingType = 3;

// `batch` has passed CheckBatch. INVALID_ARGUMENT naming the row when its mask
// is not one run of ones. `kept` may be null.
absl::StatusOr<PackedRows> PackRows(const TokenBatch& batch,
                                    const KeptPadding* kept);

// Rows [first, last) on their own.
PackedRows SliceRows(const PackedRows& rows, int64_t first, int64_t last);

// Where to cut rows into parts of about `tokens` tokens: first rows of the
// parts, then the number of rows.
std::vector<int64_t> CutByTokens(const PackedRows& rows, int64_t tokens);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_PACKED_ROWS_H_
