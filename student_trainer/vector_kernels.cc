#include "student_trainer/vector_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "student_trainer/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "student_trainer/vector_kernels.cc"
#include "hwy/foreach_target.h"
// Highway's order: after foreach_target.h.
#include "hwy/highway.h"
#include "student_trainer/simd_math.inc"

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {

// `count` floats, without touching what lies behind them.
template <class M>
HWY_INLINE V LoadPart(D d, M mask, size_t count, const float* p) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  (void)count;
  return hn::MaskedLoad(mask, d, p);
#else
  (void)mask;
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(part, p, count * sizeof(float));
  return hn::Load(d, part);
#endif
}

// Calls body(i, load, store) for every vector of `count` floats; the last one
// may be a part of a vector.
template <class Body>
HWY_INLINE void ForVectors(size_t count, Body body) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    body(
        i, [d](const float* p) HWY_ATTR { return hn::LoadU(d, p); },
        [d](V v, float* p) HWY_ATTR { hn::StoreU(v, d, p); });
  }
  if (i == count) return;
  const auto mask = hn::FirstN(d, count - i);
  body(
      i,
      [d, mask, rest = count - i](const float* p)
          HWY_ATTR { return LoadPart(d, mask, rest, p); },
      [d, mask](V v, float* p) HWY_ATTR { hn::BlendedStore(v, mask, d, p); });
}

void Adam(const AdamUpdate& s) {
  const D d;
  const V beta1 = hn::Set(d, 0.9f), beta2 = hn::Set(d, 0.999f);
  const V rest1 = hn::Set(d, 1.0f - 0.9f), rest2 = hn::Set(d, 1.0f - 0.999f);
  const V epsilon = hn::Set(d, 1e-8f), step = hn::Set(d, s.step_size);
  const V scale = hn::Set(d, 1.0f / s.root_correction);
  const V decay = hn::Set(d, s.decay);
  ForVectors(s.size, [&](size_t i, auto load, auto store) HWY_ATTR {
    const V g = load(s.gradient + i);
    const V mean = hn::MulAdd(load(s.mean + i), beta1, hn::Mul(g, rest1));
    const V square =
        hn::MulAdd(load(s.square + i), beta2, hn::Mul(hn::Mul(g, g), rest2));
    const V root = hn::MulAdd(hn::Sqrt(square), scale, epsilon);
    store(hn::MulSub(load(s.parameters + i), decay,
                     hn::Div(hn::Mul(step, mean), root)),
          s.parameters + i);
    store(mean, s.mean + i);
    store(square, s.square + i);
    store(hn::Zero(d), s.gradient + i);
  });
}

using D64 = hn::ScalableTag<uint64_t>;
using V64 = hn::Vec<D64>;

// The products of the low halves of 64 bits with a constant.
HWY_INLINE V64 MultiplyLow(V64 words, uint32_t factor) {
#if HWY_TARGET == HWY_SCALAR
  const D64 d;
  return hn::Set(d, (hn::GetLane(words) & 0xFFFFFFFFu) * factor);
#else
  const hn::Repartition<uint32_t, D64> d32;
  return hn::MulEven(hn::BitCast(d32, words), hn::Set(d32, factor));
#endif
}

// Philox2x32-10 of as many counters as fit a vector, one in each 64 bits.
HWY_INLINE V64 Philox(V64 low, V64 high, uint32_t key) {
  const D64 d;
  const V64 mask = hn::Set(d, 0xFFFFFFFFu);
  for (int round = 0; round < 10; ++round) {
    const V64 product = MultiplyLow(low, 0xD256D193u);
    low = hn::Xor(hn::ShiftRight<32>(product),
                  hn::Xor(high, hn::Set(d, uint64_t{key})));
    high = hn::And(product, mask);
    key += 0x9E3779B9u;
  }
  return hn::Or(low, hn::ShiftLeft<32>(high));
}

void PhiloxWords(uint32_t first, uint32_t high, uint32_t key, size_t count,
                 uint64_t* out) {
  const D64 d;
  const size_t lanes = hn::Lanes(d);
  const V64 mask = hn::Set(d, 0xFFFFFFFFu);
  HWY_ALIGN uint64_t words[HWY_MAX_BYTES / sizeof(uint64_t)];
  for (size_t i = 0; i < count; i += lanes) {
    const V64 counter = hn::And(hn::Iota(d, uint64_t{first} + i), mask);
    hn::Store(Philox(counter, hn::Set(d, uint64_t{high}), key), d, words);
    std::memcpy(out + i, words, std::min(lanes, count - i) * sizeof(uint64_t));
  }
}

void Dropout(const DropoutStream& stream, size_t begin, size_t count,
             float* values) {
  const D d;
  const hn::Rebind<int32_t, D> di;
  const hn::Rebind<uint16_t, D> d16;
  const D64 d64;
  const int32_t below =
      static_cast<int32_t>(std::lround(stream.rate * 65536.0f));
  const V scale = hn::Set(d, 65536.0f / (65536 - below));
  const auto threshold = hn::Set(di, below - 1);
  // Four values for each counter.
  const size_t lanes = hn::Lanes(d), group = 4 * hn::Lanes(d64);
  HWY_ALIGN uint16_t draws[HWY_MAX_BYTES / sizeof(uint16_t)];
  for (size_t i = 0; i < count; i += group) {
    const V64 counter = hn::Iota(d64, uint64_t{(begin + i) / 4});
    hn::Store(Philox(counter, hn::Set(d64, uint64_t{stream.step}), stream.key),
              d64, reinterpret_cast<uint64_t*>(draws));
    for (size_t j = 0; j < group; j += lanes) {
      if (i + j >= count) return;
      const auto drawn = hn::PromoteTo(di, hn::Load(d16, draws + j));
      const auto keep = hn::RebindMask(d, hn::Gt(drawn, threshold));
      float* at = values + i + j;
      if (i + j + lanes <= count) {
        hn::StoreU(hn::IfThenElseZero(keep, hn::Mul(hn::LoadU(d, at), scale)),
                   d, at);
        continue;
      }
      HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
      std::memcpy(part, at, (count - i - j) * sizeof(float));
      hn::Store(hn::IfThenElseZero(keep, hn::Mul(hn::Load(d, part), scale)), d,
                part);
      std::memcpy(at, part, (count - i - j) * sizeof(float));
    }
  }
}

void Scatter(const RowScatter& s) {
  // Picks positions first, so that no branch depends on an id.
  constexpr size_t kChunk = 512;
  uint16_t picked[kChunk];
  for (size_t begin = 0; begin < s.count; begin += kChunk) {
    const int64_t* ids = s.ids + begin;
    const float* rows = s.rows + begin * s.width;
    const size_t count = std::min(kChunk, s.count - begin);
    size_t size = 0;
    for (size_t n = 0; n < count; ++n) {
      picked[size] = static_cast<uint16_t>(n);
      size += (ids[n] >= s.first_id) & (ids[n] < s.end_id);
    }
    for (size_t k = 0; k < size; ++k) {
      float* out = s.table + ids[picked[k]] * s.width;
      const float* row = rows + picked[k] * s.width;
      ForVectors(s.width, [&](size_t i, auto load, auto store) HWY_ATTR {
        store(hn::Add(load(out + i), load(row + i)), out + i);
      });
    }
  }
}

void Sum(const float* a, const float* b, size_t count, size_t width,
         size_t stride, float* out) {
  for (size_t n = 0; n < count; ++n) {
    ForVectors(width, [&](size_t i, auto load, auto store) HWY_ATTR {
      store(hn::Add(load(a + i), load(b + i)), out + i);
    });
    a += stride;
    b += stride;
    out += width;
  }
}

void Linear(const LinearLayer& s) {
  const D d;
  for (size_t row = 0; row < s.rows; ++row) {
    const float* x = s.x + row * s.inputs;
    for (size_t c = 0; c < s.outputs; ++c) {
      const float* w = s.weight + c * s.inputs;
      V sum = hn::Zero(d);
      ForVectors(s.inputs, [&](size_t i, auto load, auto) HWY_ATTR {
        sum = hn::MulAdd(load(x + i), load(w + i), sum);
      });
      s.out[row * s.outputs + c] =
          hn::GetLane(hn::SumOfLanes(d, sum)) + s.bias[c];
    }
  }
}

void LinearBack(const LinearBackward& s) {
  const D d;
  std::fill_n(s.dx, s.rows * s.inputs, 0.0f);
  std::fill_n(s.dweight, s.outputs * s.inputs, 0.0f);
  std::fill_n(s.dbias, s.outputs, 0.0f);
  for (size_t row = 0; row < s.rows; ++row) {
    const float* x = s.x + row * s.inputs;
    float* dx = s.dx + row * s.inputs;
    for (size_t c = 0; c < s.outputs; ++c) {
      const float* w = s.weight + c * s.inputs;
      float* dw = s.dweight + c * s.inputs;
      const float g = s.dout[row * s.outputs + c];
      const V factor = hn::Set(d, g);
      s.dbias[c] += g;
      ForVectors(s.inputs, [&](size_t i, auto load, auto store) HWY_ATTR {
        store(hn::MulAdd(factor, load(w + i), load(dx + i)), dx + i);
        store(hn::MulAdd(factor, load(x + i), load(dw + i)), dw + i);
      });
    }
  }
}

void SigmoidOf(const float* x, size_t count, float* out) {
  ForVectors(count, [&](size_t i, auto load, auto store) HWY_ATTR {
    store(Sigmoid(D(), load(x + i)), out + i);
  });
}

void TanhOf(const float* x, size_t count, float* out) {
  ForVectors(count, [&](size_t i, auto load, auto store)
                        HWY_ATTR { store(Tanh(D(), load(x + i)), out + i); });
}

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kodistil {

HWY_EXPORT(Adam);
HWY_EXPORT(PhiloxWords);
HWY_EXPORT(Dropout);
HWY_EXPORT(Scatter);
HWY_EXPORT(Sum);
HWY_EXPORT(Linear);
HWY_EXPORT(LinearBack);
HWY_EXPORT(SigmoidOf);
HWY_EXPORT(TanhOf);

void RunAdamUpdate(const AdamUpdate& update) {
  HWY_DYNAMIC_DISPATCH(Adam)(update);
}

void RunPhilox(uint32_t first, uint32_t high, uint32_t key, size_t count,
               uint64_t* out) {
  HWY_DYNAMIC_DISPATCH(PhiloxWords)(first, high, key, count, out);
}

void RunDropout(const DropoutStream& stream, size_t begin, size_t count,
                float* values) {
  if (stream.rate <= 0) return;
  HWY_DYNAMIC_DISPATCH(Dropout)(stream, begin, count, values);
}

void GatherRows(const float* table, const int64_t* ids, size_t count,
                size_t width, float* out) {
  for (size_t n = 0; n < count; ++n) {
    std::memcpy(out + n * width, table + ids[n] * width, width * sizeof(float));
  }
}

void RunRowScatter(const RowScatter& scatter) {
  HWY_DYNAMIC_DISPATCH(Scatter)(scatter);
}

void SumRows(const float* a, const float* b, size_t count, size_t width,
             size_t stride, float* out) {
  HWY_DYNAMIC_DISPATCH(Sum)(a, b, count, width, stride, out);
}

void RunLinear(const LinearLayer& layer) {
  HWY_DYNAMIC_DISPATCH(Linear)(layer);
}

void RunLinearBackward(const LinearBackward& layer) {
  HWY_DYNAMIC_DISPATCH(LinearBack)(layer);
}

void RunSigmoid(const float* x, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(SigmoidOf)(x, count, out);
}

void RunTanh(const float* x, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(TanhOf)(x, count, out);
}

}  // namespace kodistil
#endif  // HWY_ONCE
