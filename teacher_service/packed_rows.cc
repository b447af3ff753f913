#include "teacher_service/packed_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// A row's tokens within the batch.
struct Extent {
  int64_t row = 0;
  int64_t first = 0;  // index into TokenBatch::ids
  int64_t length = 0;
  int64_t padding = 0;
};

absl::StatusOr<Extent> ExtentOf(const TokenBatch& batch, int64_t row) {
  const auto begin = batch.mask.begin() + row * batch.columns;
  const auto end = begin + batch.columns;
  const auto first = std::find(begin, end, 1);
  const auto last = std::find(first, end, 0);
  if (std::find(last, end, 1) != end) {
    return absl::InvalidArgumentError(absl::StrCat(
        "row ", row, ": a 0 between ones of the mask in column ", last - begin,
        ", expected padding before or behind the row"));
  }
  Extent extent;
  extent.row = row;
  extent.first = first - batch.mask.begin();
  extent.length = last - first;
  if (!batch.trailing_padding.empty()) {
    extent.padding = batch.trailing_padding[row];
  }
  return extent;
}

void AddRow(int64_t length, int64_t padding, PackedRows* rows) {
  const bool is_same = !rows->groups.empty() &&
                       rows->groups.back().length == length &&
                       rows->groups.back().padding == padding;
  if (!is_same) {
    RowGroup group;
    group.first_row = rows->rows();
    group.first_token = rows->tokens();
    group.length = length;
    group.padding = padding;
    rows->groups.push_back(group);
  }
  ++rows->groups.back().rows;
  rows->longest = std::max(rows->longest, length);
}

void Reserve(int64_t tokens, int64_t num_rows, PackedRows* rows) {
  for (auto* values : {&rows->ids, &rows->type_ids, &rows->columns}) {
    values->reserve(tokens);
  }
  rows->source.reserve(num_rows);
}

}  // namespace

absl::StatusOr<PackedRows> PackRows(const TokenBatch& batch,
                                    const KeptPadding* kept) {
  std::vector<Extent> extents;
  extents.reserve(batch.rows);
  int64_t tokens = 0;
  for (int64_t row = 0; row < batch.rows; ++row) {
    absl::StatusOr<Extent> extent = ExtentOf(batch, row);
    if (!extent.ok()) return extent.status();
    tokens += extent->length + 1;
    extents.push_back(*extent);
  }
  std::stable_sort(extents.begin(), extents.end(),
                   [](const Extent& a, const Extent& b) {
                     return std::make_pair(a.length, a.padding) <
                            std::make_pair(b.length, b.padding);
                   });
  PackedRows rows;
  Reserve(tokens, batch.rows, &rows);
  for (const Extent& extent : extents) {
    const bool keeps = kept != nullptr && extent.padding > 0;
    AddRow(extent.length + keeps, extent.padding, &rows);
    rows.source.push_back(extent.row);
    const auto ids = batch.ids.begin() + extent.first;
    const auto types = batch.type_ids.begin() + extent.first;
    rows.ids.insert(rows.ids.end(), ids, ids + extent.length);
    rows.type_ids.insert(rows.type_ids.end(), types, types + extent.length);
    for (int64_t i = 0; i < extent.length; ++i) rows.columns.push_back(i);
    if (!keeps) continue;
    rows.ids.push_back(kept->id);
    rows.type_ids.push_back(kept->type_id);
    rows.columns.push_back(extent.length - 1 + extent.padding);
  }
  return rows;
}

PackedRows SliceRows(const PackedRows& rows, int64_t first, int64_t last) {
  PackedRows slice;
  int64_t begin = -1;
  int64_t end = 0;
  rows.ForEachRow([&](int64_t row, int64_t token, const RowGroup& group) {
    if (row < first || row >= last) return;
    if (begin < 0) begin = token;
    end = token + group.length;
  });
  const auto cut = [&](const std::vector<int64_t>& values) {
    return std::vector<int64_t>(values.begin() + begin, values.begin() + end);
  };
  Reserve(end - begin, last - first, &slice);
  rows.ForEachRow([&](int64_t row, int64_t token, const RowGroup& group) {
    if (row < first || row >= last) return;
    AddRow(group.length, group.padding, &slice);
    slice.source.push_back(rows.source[row]);
    slice.ids.resize(slice.ids.size() + group.length);
  });
  slice.ids = cut(rows.ids);
  slice.type_ids = cut(rows.type_ids);
  slice.columns = cut(rows.columns);
  return slice;
}

std::vector<int64_t> CutByTokens(const PackedRows& rows, int64_t tokens) {
  std::vector<int64_t> cuts = {0};
  int64_t open = 0;
  rows.ForEachRow([&](int64_t row, int64_t, const RowGroup& group) {
    if (open > 0 && open + group.length > tokens) {
      cuts.push_back(row);
      open = 0;
    }
    open += group.length;
  });
  cuts.push_back(rows.rows());
  return cuts;
}

}  // namespace kodistil
