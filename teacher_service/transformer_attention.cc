#include "teacher_service/transformer_attention.h"

#include <ATen/ATen.h>

#include <limits>
#include <numeric>

#include "teacher_service/transformer_kernels.h"

namespace kodistil {
namespace {

using at::Tensor;

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// query: [n, Q, heads, depth]; key, value: [n, K, heads, depth]; mask: added to
// the scores [n, heads, Q, K], broadcast, or undefined. Result: [n * Q, inner].
Tensor AttendDense(const Run& run, const AttentionSpec& spec,
                   const Tensor* query_key_value, const Tensor& mask) {
  const Tensor& query = query_key_value[0];
  const Tensor q = (query * spec.scale).transpose(1, 2);
  const Tensor k = query_key_value[1].permute({0, 2, 3, 1});
  const Tensor v = query_key_value[2].transpose(1, 2);
  Tensor scores = at::matmul(q, k);
  if (mask.defined()) scores = scores + mask;
  const Tensor weights = Dropout(run, at::softmax(scores, -1), spec.dropout);
  return at::matmul(weights, v)
      .transpose(1, 2)
      .reshape({query.size(0) * query.size(1), spec.inner()});
}

// What is added to the scores of queries in `columns` [n, Q] and keys in
// columns 0 to num_keys - 1: [n, heads or 1, Q, K], or undefined.
Tensor ColumnMask(const AttentionSpec& spec, const Tensor& columns,
                  int64_t num_keys) {
  if (!spec.causal && spec.distance_bias == nullptr) return Tensor();
  const int64_t n = columns.size(0), queries = columns.size(1);
  // distance: [n, Q, K]
  const Tensor distance =
      at::arange(num_keys, columns.options()) - columns.unsqueeze(2);
  Tensor mask;
  if (spec.distance_bias != nullptr) {
    const int64_t zero = spec.distance_bias->size(1) / 2;
    mask = at::index_select(*spec.distance_bias, 1,
                            (distance + zero).reshape({-1}))
               .view({spec.heads, n, queries, num_keys})
               .transpose(0, 1);
  }
  if (spec.causal) {
    const Tensor hidden =
        at::zeros({n, 1, queries, num_keys},
                  columns.options().dtype(at::kFloat))
            .masked_fill_((distance > 0).unsqueeze(1), kMinusInfinity);
    mask = mask.defined() ? mask + hidden : hidden;
  }
  return mask;
}

// Columns of a group's queries: [rows, 1] or [1, length].
Tensor QueryColumns(const Run& run, const AttentionSpec& spec,
                    const RowGroup& group) {
  std::vector<int64_t> columns(group.length);
  if (spec.query_columns == nullptr) {
    std::iota(columns.begin(), columns.end(), 0);
    return IndexTensor(run, columns).unsqueeze(0);
  }
  const auto first = spec.query_columns->begin() + group.first_row;
  columns.assign(first, first + group.rows);
  return IndexTensor(run, columns).unsqueeze(1);
}

// All rows padded to the longest: few large operations.
Tensor AttendPadded(const Run& run, const AttentionSpec& spec,
                    const Tensor* query_key_value) {
  const PackedRows& rows = *run.rows;
  const int64_t longest = rows.longest;
  // Padding reads token 0, and the mask hides it.
  std::vector<int64_t> from(rows.rows() * longest, 0), back, lengths;
  rows.ForEachRow([&](int64_t row, int64_t token, const RowGroup& group) {
    lengths.push_back(group.length);
    for (int64_t i = 0; i < group.length; ++i) {
      from[row * longest + i] = token + i;
      back.push_back(row * longest + i);
    }
  });
  const Tensor index = IndexTensor(run, from);
  const auto pad = [&](const Tensor& packed) {
    return at::index_select(packed, 0, index)
        .view({rows.rows(), longest, spec.heads, spec.depth});
  };
  const bool is_pooled = spec.query_columns != nullptr;
  const Tensor padded[3] = {
      is_pooled
          ? query_key_value[0].view({rows.rows(), 1, spec.heads, spec.depth})
          : pad(query_key_value[0]),
      pad(query_key_value[1]), pad(query_key_value[2])};
  const Tensor columns =
      is_pooled ? IndexTensor(run, *spec.query_columns).unsqueeze(1)
                : at::arange(longest, index.options()).unsqueeze(0);
  Tensor mask = ColumnMask(spec, columns, longest);
  if (rows.groups.size() > 1) {
    const Tensor is_padding =
        at::arange(longest, index.options()).unsqueeze(0) >=
        IndexTensor(run, lengths).unsqueeze(1);
    const Tensor hidden =
        at::zeros(is_padding.sizes(), index.options().dtype(at::kFloat))
            .masked_fill_(is_padding, kMinusInfinity)
            .view({rows.rows(), 1, 1, longest});
    mask = mask.defined() ? mask + hidden : hidden;
  }
  if (mask.defined()) mask = mask.to(query_key_value[0].scalar_type());
  const Tensor result = AttendDense(run, spec, padded, mask);
  return is_pooled ? result : SelectRows(run, result, back);
}

// Vector code, row by row.
Tensor AttendKernel(const Run& run, const AttentionSpec& spec,
                    const Tensor* query_key_value) {
  const Tensor& query = query_key_value[0];
  const Tensor result =
      at::empty({query.size(0), spec.inner()}, query.options());
  const bool is_pooled = spec.query_columns != nullptr;
  Attention task;
  task.heads = spec.heads;
  task.depth = spec.depth;
  task.query_stride = query.stride(0);
  task.key_stride = query_key_value[1].stride(0);
  task.scale = static_cast<float>(spec.scale);
  task.causal = spec.causal;
  task.out_stride = spec.inner();
  if (spec.distance_bias != nullptr) {
    task.bias_stride = spec.distance_bias->size(1);
    task.distance_bias =
        spec.distance_bias->data_ptr<float>() + task.bias_stride / 2;
  }
  run.rows->ForEachRow([&](int64_t row, int64_t token, const RowGroup& group) {
    const int64_t first = is_pooled ? row : token;
    task.queries = is_pooled ? 1 : group.length;
    task.keys = group.length;
    task.first_column = is_pooled ? (*spec.query_columns)[row] : 0;
    task.query = query.data_ptr<float>() + first * task.query_stride;
    task.key = query_key_value[1].data_ptr<float>() + token * task.key_stride;
    task.value = query_key_value[2].data_ptr<float>() + token * task.key_stride;
    task.out = result.data_ptr<float>() + first * task.out_stride;
    RunAttention(task);
  });
  return result;
}

// Whether the vector code can read the tensors as they lie.
bool FitsKernel(const Run& run, const Tensor* query_key_value) {
  for (int i = 0; i < 3; ++i) {
    if (query_key_value[i].scalar_type() != at::kFloat ||
        query_key_value[i].stride(1) != 1) {
      return false;
    }
  }
  return run.kernels &&
         query_key_value[1].stride(0) == query_key_value[2].stride(0);
}

}  // namespace

Tensor AttendGroup(const Run& run, const AttentionSpec& spec,
                   const RowGroup& group, const Tensor* query_key_value) {
  const bool is_pooled = spec.query_columns != nullptr;
  const auto view = [&](const Tensor& packed) {
    return packed.narrow(0, group.first_token, group.tokens())
        .view({group.rows, group.length, spec.heads, spec.depth});
  };
  const Tensor parts[3] = {
      is_pooled ? query_key_value[0]
                      .narrow(0, group.first_row, group.rows)
                      .view({group.rows, 1, spec.heads, spec.depth})
                : view(query_key_value[0]),
      view(query_key_value[1]), view(query_key_value[2])};
  Tensor mask;
  if (spec.causal || spec.distance_bias != nullptr) {
    mask = ColumnMask(spec, QueryColumns(run, spec, group), group.length)
               .to(parts[0].scalar_type());
  }
  return AttendDense(run, spec, parts, mask);
}

Tensor Attend(const Run& run, const AttentionSpec& spec, const Tensor& query,
              const Tensor& key, const Tensor& value) {
  const Tensor query_key_value[3] = {query, key, value};
  if (FitsKernel(run, query_key_value)) {
    return AttendKernel(run, spec, query_key_value);
  }
  if (run.pads_attention) return AttendPadded(run, spec, query_key_value);
  std::vector<Tensor> parts;
  for (const RowGroup& group : run.rows->groups) {
    parts.push_back(AttendGroup(run, spec, group, query_key_value));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

}  // namespace kodistil
