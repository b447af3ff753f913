// RunAttention of transformer_kernels.h.

#include <algorithm>
#include <cstring>

#include "base/simd_targets.h"
#include "teacher_service/transformer_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "teacher_service/attention_kernel.cc"
#include "hwy/foreach_target.h"
// Highway's order: after foreach_target.h.
#include "hwy/aligned_allocator.h"
#include "hwy/highway.h"
#include "teacher_service/simd_exp.inc"

#ifndef KODISTIL_TEACHER_SERVICE_ATTENTION_SCRATCH_
#define KODISTIL_TEACHER_SERVICE_ATTENTION_SCRATCH_
namespace kodistil {

// Queries of one step: with two vectors of columns, 12 sums stay in registers.
constexpr size_t kQueries = 6;

// Memory of one thread that grows with the longest text it has seen.
class AttentionScratch {
 public:
  float* Get(size_t size) {
    if (size > size_) {
      memory_ = hwy::AllocateAligned<float>(size);
      size_ = size;
    }
    return memory_.get();
  }

 private:
  hwy::AlignedFreeUniquePtr<float[]> memory_;
  size_t size_ = 0;
};

}  // namespace kodistil
#endif  // KODISTIL_TEACHER_SERVICE_ATTENTION_SCRATCH_

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {

// Columns of one step.
HWY_INLINE size_t StepColumns() { return 2 * hn::Lanes(D()); }

// c[r, 0 .. StepColumns()) = factor[r] * sum over k of a[r, k] * b[k, ...] for
// `Rows` rows; `store(r, offset, vector)` takes the results.
template <size_t Rows, class Store>
HWY_INLINE void Product(const float* a, size_t a_stride, const float* b,
                        size_t b_stride, size_t inner, Store store) {
  const D d;
  V low[Rows], high[Rows];
  for (size_t r = 0; r < Rows; ++r) low[r] = high[r] = hn::Zero(d);
  for (size_t k = 0; k < inner; ++k) {
    const V b0 = hn::LoadU(d, b + k * b_stride);
    const V b1 = hn::LoadU(d, b + k * b_stride + hn::Lanes(d));
    for (size_t r = 0; r < Rows; ++r) {
      const V x = hn::Set(d, a[r * a_stride + k]);
      low[r] = hn::MulAdd(x, b0, low[r]);
      high[r] = hn::MulAdd(x, b1, high[r]);
    }
  }
  for (size_t r = 0; r < Rows; ++r) {
    store(r, 0, low[r]);
    store(r, hn::Lanes(d), high[r]);
  }
}

// One head of one text; pointers are to the head's part.
struct Head {
  const float* query;
  const float* key_t;  // [depth, padded_keys], transposed keys, zeros behind
  const float* value;
  size_t value_stride;
  size_t padded_keys;
  const float* bias;  // of distance 0, or null
  float* weights;     // [kQueries, padded_keys]
  float* out;
};

// weights[0, seen) = exp(weights - max), 0 behind; returns 1 / their sum.
HWY_INLINE float Softmax(float* weights, size_t seen, size_t padded) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t i = seen; i < std::min(padded, seen + lanes); ++i) {
    weights[i] = -3e38f;
  }
  V most = hn::Load(d, weights);
  for (size_t i = lanes; i < seen; i += lanes) {
    most = hn::Max(most, hn::Load(d, weights + i));
  }
  most = hn::MaxOfLanes(d, most);
  V total = hn::Zero(d);
  size_t i = 0;
  for (; i < seen; i += lanes) {
    V e = Exp(d, hn::Sub(hn::Load(d, weights + i), most));
    if (i + lanes > seen) e = hn::IfThenElseZero(hn::FirstN(d, seen - i), e);
    hn::Store(e, d, weights + i);
    total = hn::Add(total, e);
  }
  for (; i < padded; i += lanes) hn::Store(hn::Zero(d), d, weights + i);
  return 1.0f / hn::GetLane(hn::SumOfLanes(d, total));
}

// `Rows` queries from `first` on.
template <size_t Rows>
void AttendRows(const Attention& task, const Head& head, size_t first) {
  const D d;
  const size_t step = StepColumns();
  const V scale = hn::Set(d, task.scale);
  size_t seen[Rows];
  for (size_t r = 0; r < Rows; ++r) {
    const size_t column = task.first_column + first + r;
    seen[r] = task.causal ? std::min(task.keys, column + 1) : task.keys;
  }
  for (size_t k = 0; k < seen[Rows - 1]; k += step) {
    Product<Rows>(head.query + first * task.query_stride, task.query_stride,
                  head.key_t + k, head.padded_keys, task.depth,
                  [&](size_t r, size_t offset, V sum) HWY_ATTR {
                    hn::Store(hn::Mul(sum, scale), d,
                              head.weights + r * head.padded_keys + k + offset);
                  });
  }
  float factors[Rows];
  for (size_t r = 0; r < Rows; ++r) {
    float* const weights = head.weights + r * head.padded_keys;
    if (head.bias != nullptr) {
      const int64_t column = task.first_column + first + r;
      for (size_t k = 0; k < seen[r]; ++k) {
        weights[k] += head.bias[static_cast<int64_t>(k) - column];
      }
    }
    factors[r] = Softmax(weights, seen[r], head.padded_keys);
  }
  for (size_t c = 0; c < task.depth; c += step) {
    Product<Rows>(
        head.weights, head.padded_keys, head.value + c, head.value_stride,
        seen[Rows - 1], [&](size_t r, size_t offset, V sum) HWY_ATTR {
          const size_t at = c + offset;
          if (at >= task.depth) return;
          const V v = hn::Mul(sum, hn::Set(d, factors[r]));
          float* const out = head.out + (first + r) * task.out_stride + at;
          if (at + hn::Lanes(d) <= task.depth) {
            hn::StoreU(v, d, out);
            return;
          }
          HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)];
          hn::Store(v, d, part);
          std::memcpy(out, part, (task.depth - at) * sizeof(float));
        });
  }
}

void AttendHead(const Attention& task, const Head& head) {
  size_t first = 0;
  for (; first + kQueries <= task.queries; first += kQueries) {
    AttendRows<kQueries>(task, head, first);
  }
  switch (task.queries - first) {
    case 5:
      return AttendRows<5>(task, head, first);
    case 4:
      return AttendRows<4>(task, head, first);
    case 3:
      return AttendRows<3>(task, head, first);
    case 2:
      return AttendRows<2>(task, head, first);
    case 1:
      return AttendRows<1>(task, head, first);
    default:
      return;
  }
}

HWY_INLINE size_t RoundUp(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

void Attend(const Attention& task, AttentionScratch* scratch) {
  const size_t step = StepColumns();
  const size_t padded_keys = RoundUp(task.keys, step);
  // Where a step over a value's row would read behind it, the values are
  // copied into rows with room.
  const bool copies = task.depth % step != 0;
  const size_t padded_depth = RoundUp(task.depth, step);
  float* const key_t = scratch->Get(padded_keys * (task.depth + kQueries) +
                                    (copies ? task.keys * padded_depth : 0));
  float* const weights = key_t + padded_keys * task.depth;
  float* const values = weights + padded_keys * kQueries;
  for (size_t h = 0; h < task.heads; ++h) {
    const float* const key = task.key + h * task.depth;
    const float* const value = task.value + h * task.depth;
    for (size_t c = 0; c < task.depth; ++c) {
      float* const row = key_t + c * padded_keys;
      for (size_t k = 0; k < task.keys; ++k) {
        row[k] = key[k * task.key_stride + c];
      }
      std::fill(row + task.keys, row + padded_keys, 0.0f);
    }
    for (size_t k = 0; copies && k < task.keys; ++k) {
      float* const row = values + k * padded_depth;
      std::copy_n(value + k * task.key_stride, task.depth, row);
      std::fill(row + task.depth, row + padded_depth, 0.0f);
    }
    Head head;
    head.query = task.query + h * task.depth;
    head.key_t = key_t;
    head.value = copies ? values : value;
    head.value_stride = copies ? padded_depth : task.key_stride;
    head.padded_keys = padded_keys;
    head.bias = task.distance_bias == nullptr
                    ? nullptr
                    : task.distance_bias + h * task.bias_stride;
    head.weights = weights;
    head.out = task.out + h * task.depth;
    AttendHead(task, head);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kodistil {

HWY_EXPORT(Attend);

void RunAttention(const Attention& task) {
  if (task.queries == 0 || task.keys == 0) return;
  thread_local AttentionScratch scratch;
  HWY_DYNAMIC_DISPATCH(Attend)(task, &scratch);
}

}  // namespace kodistil
#endif  // HWY_ONCE
