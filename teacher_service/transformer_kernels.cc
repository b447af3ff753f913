#include "teacher_service/transformer_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "teacher_service/transformer_kernels.cc"
#include "hwy/foreach_target.h"
// Highway's order: after foreach_target.h.
#include "hwy/highway.h"
#include "teacher_service/simd_exp.inc"

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {

// Calls body(offset) for each vector of `width` floats, and tail(offset, rest)
// for what is left.
template <class Body, class Tail>
HWY_INLINE void ForVectors(size_t width, Body body, Tail tail) {
  const size_t lanes = hn::Lanes(D());
  size_t i = 0;
  for (; i + lanes <= width; i += lanes) body(i);
  if (i < width) tail(i, width - i);
}

// The first `count` floats, and zeros.
HWY_INLINE V LoadPart(D d, size_t count, const float* p) {
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(part, p, count * sizeof(float));
  return hn::Load(d, part);
}

HWY_INLINE void StorePart(D d, V v, size_t count, float* p) {
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, d, part);
  std::memcpy(p, part, count * sizeof(float));
}

struct Gelu {
  HWY_INLINE V operator()(D d, V x) const {
    const V half = hn::Mul(x, hn::Set(d, 0.5f));
    return hn::MulAdd(half, Erf(d, hn::Mul(x, hn::Set(d, 0.70710678f))), half);
  }
};
// x / (1 + e^-2u) is x (1 + tanh u) / 2.
struct GeluTanh {
  HWY_INLINE V operator()(D d, V x) const {
    const V cube = hn::Mul(hn::Mul(x, x), x);
    const V u = hn::Mul(hn::Set(d, -2 * 0.79788456f),
                        hn::MulAdd(cube, hn::Set(d, 0.044715f), x));
    return hn::Div(x, hn::Add(hn::Set(d, 1.0f), Exp(d, u)));
  }
};
struct Relu {
  HWY_INLINE V operator()(D d, V x) const { return hn::Max(x, hn::Zero(d)); }
};
struct Silu {
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Div(x, hn::Add(hn::Set(d, 1.0f), Exp(d, hn::Neg(x))));
  }
};
// 1 - 2 / (1 + e^2x)
struct Tanh {
  HWY_INLINE V operator()(D d, V x) const {
    const V one = hn::Set(d, 1.0f);
    const V e = Exp(d, hn::Add(x, x));
    return hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(one, e)));
  }
};

template <class Function>
void BiasActivationOf(Function function, size_t rows, size_t width,
                      const float* bias, float* values) {
  const D d;
  for (size_t row = 0; row < rows; ++row) {
    float* const at = values + row * width;
    ForVectors(
        width,
        [&](size_t i) HWY_ATTR {
          V x = hn::LoadU(d, at + i);
          if (bias != nullptr) x = hn::Add(x, hn::LoadU(d, bias + i));
          hn::StoreU(function(d, x), d, at + i);
        },
        [&](size_t i, size_t rest) HWY_ATTR {
          V x = LoadPart(d, rest, at + i);
          if (bias != nullptr) x = hn::Add(x, LoadPart(d, rest, bias + i));
          StorePart(d, function(d, x), rest, at + i);
        });
  }
}

void BiasActivation(Activation activation, size_t rows, size_t width,
                    const float* bias, float* values) {
  switch (activation) {
    case Activation::kGelu:
      return BiasActivationOf(Gelu(), rows, width, bias, values);
    case Activation::kGeluTanh:
      return BiasActivationOf(GeluTanh(), rows, width, bias, values);
    case Activation::kRelu:
      return BiasActivationOf(Relu(), rows, width, bias, values);
    case Activation::kSilu:
      return BiasActivationOf(Silu(), rows, width, bias, values);
    case Activation::kTanh:
      return BiasActivationOf(Tanh(), rows, width, bias, values);
  }
}

// Sums a row's parts into `values`; returns the sum over them.
HWY_INLINE float SumParts(const AddNorm& task, float* values,
                          const float* residual) {
  const D d;
  V total = hn::Zero(d);
  ForVectors(
      task.width,
      [&](size_t i) HWY_ATTR {
        V x = hn::LoadU(d, values + i);
        if (task.value_bias != nullptr) {
          x = hn::Add(x, hn::LoadU(d, task.value_bias + i));
        }
        if (residual != nullptr) x = hn::Add(x, hn::LoadU(d, residual + i));
        hn::StoreU(x, d, values + i);
        total = hn::Add(total, x);
      },
      [&](size_t i, size_t rest) HWY_ATTR {
        V x = LoadPart(d, rest, values + i);
        if (task.value_bias != nullptr) {
          x = hn::Add(x, LoadPart(d, rest, task.value_bias + i));
        }
        if (residual != nullptr)
          x = hn::Add(x, LoadPart(d, rest, residual + i));
        StorePart(d, x, rest, values + i);
        total = hn::Add(total, x);
      });
  return hn::GetLane(hn::SumOfLanes(d, total));
}

// The sum of squared distances from `mean`.
HWY_INLINE float SumSquares(const float* values, size_t width, float mean) {
  const D d;
  const V centre = hn::Set(d, mean);
  V total = hn::Zero(d);
  ForVectors(
      width,
      [&](size_t i) HWY_ATTR {
        const V x = hn::Sub(hn::LoadU(d, values + i), centre);
        total = hn::MulAdd(x, x, total);
      },
      [&](size_t i, size_t rest) HWY_ATTR {
        const V x = hn::Sub(LoadPart(d, rest, values + i), centre);
        total =
            hn::MulAdd(x, hn::IfThenElseZero(hn::FirstN(d, rest), x), total);
      });
  return hn::GetLane(hn::SumOfLanes(d, total));
}

void AddAndNorm(const AddNorm& task) {
  const D d;
  const size_t width = task.width;
  for (size_t row = 0; row < task.rows; ++row) {
    float* const values = task.values + row * width;
    const float* residual =
        task.residual == nullptr ? nullptr : task.residual + row * width;
    const float sum = SumParts(task, values, residual);
    if (task.sum != nullptr) {
      std::memcpy(task.sum + row * width, values, width * sizeof(float));
    }
    const bool is_root_mean_square = task.bias == nullptr;
    const float mean = is_root_mean_square ? 0.0f : sum / width;
    const float variance = SumSquares(values, width, mean) / width;
    const V scale = hn::Set(d, 1.0f / std::sqrt(variance + task.epsilon));
    const V shift = hn::Set(d, mean);
    const auto norm = [&](V x, V weight, V bias) HWY_ATTR {
      return hn::MulAdd(hn::Mul(hn::Sub(x, shift), scale), weight, bias);
    };
    ForVectors(
        width,
        [&](size_t i) HWY_ATTR {
          const V bias =
              is_root_mean_square ? hn::Zero(d) : hn::LoadU(d, task.bias + i);
          hn::StoreU(norm(hn::LoadU(d, values + i),
                          hn::LoadU(d, task.weight + i), bias),
                     d, values + i);
        },
        [&](size_t i, size_t rest) HWY_ATTR {
          const V bias = is_root_mean_square ? hn::Zero(d)
                                             : LoadPart(d, rest, task.bias + i);
          StorePart(d,
                    norm(LoadPart(d, rest, values + i),
                         LoadPart(d, rest, task.weight + i), bias),
                    rest, values + i);
        });
  }
}

void Embeddings(const SumEmbeddings& task) {
  const D d;
  const size_t width = task.width;
  const V scale = hn::Set(d, task.scale);
  for (size_t token = 0; token < task.tokens; ++token) {
    const float* const word = task.words + task.ids[token] * width;
    const float* const position =
        task.positions == nullptr
            ? nullptr
            : task.positions + task.columns[token] * width;
    const float* const type = task.types == nullptr
                                  ? nullptr
                                  : task.types + task.type_ids[token] * width;
    float* const out = task.out + token * width;
    const auto sum = [&](auto load) HWY_ATTR {
      V x = hn::Mul(scale, load(word));
      if (type != nullptr) x = hn::Add(x, load(type));
      if (position != nullptr) x = hn::Add(x, load(position));
      return x;
    };
    ForVectors(
        width,
        [&](size_t i) HWY_ATTR {
          const auto load = [&](const float* p)
                                HWY_ATTR { return hn::LoadU(d, p + i); };
          hn::StoreU(sum(load), d, out + i);
        },
        [&](size_t i, size_t rest) HWY_ATTR {
          const auto load = [&](const float* p)
                                HWY_ATTR { return LoadPart(d, rest, p + i); };
          StorePart(d, sum(load), rest, out + i);
        });
  }
}

using D64 = hn::ScalableTag<uint64_t>;
using V64 = hn::Vec<D64>;

// The products of the low halves of 64 bits with a constant.
HWY_INLINE V64 MultiplyLow(V64 words, uint32_t factor) {
  const D64 d;
#if HWY_TARGET == HWY_SCALAR
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

// Four values for each counter.
void DropoutMask(uint64_t stream, float rate, size_t count, float* mask) {
  const D64 d;
  const uint32_t below = static_cast<uint32_t>(std::lround(rate * 65536.0f));
  const float kept = 65536.0f / (65536 - below);
  const V64 high = hn::Set(d, stream >> 32);
  const uint32_t key = static_cast<uint32_t>(stream);
  const size_t group = 4 * hn::Lanes(d);
  HWY_ALIGN uint64_t words[HWY_MAX_BYTES / sizeof(uint64_t)];
  uint16_t draws[HWY_MAX_BYTES / sizeof(uint16_t)];
  for (size_t i = 0; i < count; i += group) {
    hn::Store(Philox(hn::Iota(d, uint64_t{i / 4}), high, key), d, words);
    std::memcpy(draws, words, sizeof(words));
    const size_t end = std::min(group, count - i);
    for (size_t j = 0; j < end; ++j) {
      mask[i + j] = draws[j] < below ? 0.0f : kept;
    }
  }
}

void ExpOf(const float* x, size_t count, float* out) {
  const D d;
  ForVectors(
      count,
      [&](size_t i)
          HWY_ATTR { hn::StoreU(Exp(d, hn::LoadU(d, x + i)), d, out + i); },
      [&](size_t i, size_t rest) HWY_ATTR {
        StorePart(d, Exp(d, LoadPart(d, rest, x + i)), rest, out + i);
      });
}

void ErfOf(const float* x, size_t count, float* out) {
  const D d;
  ForVectors(
      count,
      [&](size_t i)
          HWY_ATTR { hn::StoreU(Erf(d, hn::LoadU(d, x + i)), d, out + i); },
      [&](size_t i, size_t rest) HWY_ATTR {
        StorePart(d, Erf(d, LoadPart(d, rest, x + i)), rest, out + i);
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kodistil {

HWY_EXPORT(BiasActivation);
HWY_EXPORT(AddAndNorm);
HWY_EXPORT(Embeddings);
HWY_EXPORT(DropoutMask);
HWY_EXPORT(ExpOf);
HWY_EXPORT(ErfOf);

void RunBiasActivation(Activation activation, size_t rows, size_t width,
                       const float* bias, float* values) {
  HWY_DYNAMIC_DISPATCH(BiasActivation)(activation, rows, width, bias, values);
}

void RunAddNorm(const AddNorm& task) { HWY_DYNAMIC_DISPATCH(AddAndNorm)(task); }

void RunSumEmbeddings(const SumEmbeddings& task) {
  HWY_DYNAMIC_DISPATCH(Embeddings)(task);
}

void RunDropoutMask(uint64_t stream, float rate, size_t count, float* mask) {
  HWY_DYNAMIC_DISPATCH(DropoutMask)(stream, rate, count, mask);
}

void RunExp(const float* x, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(ExpOf)(x, count, out);
}

void RunErf(const float* x, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(ErfOf)(x, count, out);
}

}  // namespace kodistil
#endif  // HWY_ONCE
