#include "student_trainer/inference_steps.h"

#include <cstring>

#include "student_trainer/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "student_trainer/inference_steps.cc"
#include "hwy/foreach_target.h"
// Highway's order: after foreach_target.h.
#include "hwy/highway.h"
#include "student_trainer/simd_math.inc"

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {

using D32 = hn::RebindToSigned<D>;
using DHalf = hn::Rebind<hwy::float16_t, D>;

// Rows whose sums stay in registers: 32 registers with AVX-512 and NEON, else
// 16. NEON's integer products need two sums where others need one.
#if HWY_TARGET == HWY_AVX3
constexpr int kFloatRows = 4;
constexpr int kInt8Rows = 4;
#elif HWY_TARGET == HWY_NEON
constexpr int kFloatRows = 4;
constexpr int kInt8Rows = 2;
#else
constexpr int kFloatRows = 2;
constexpr int kInt8Rows = 2;
#endif

template <int kRows>
HWY_NOINLINE void FloatTile(const FloatSums& s, size_t p, size_t row) {
  const D d;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
  const float* HWY_RESTRICT weights = s.weights + p * s.depth * wide;
  const float* HWY_RESTRICT x = s.x + row * s.x_stride;
  float* gates = s.gates + (row * s.blocks + p) * wide;
  const size_t gates_stride = s.blocks * wide;
  V sums[kRows][4];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      sums[r][g] = hn::Load(d, gates + r * gates_stride + g * lanes);
    }
  }
  for (size_t k = 0; k < s.depth; ++k, weights += wide) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const V weight = hn::Load(d, weights + g * lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r][g] =
            hn::MulAdd(weight, hn::Set(d, x[r * s.x_stride + k]), sums[r][g]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      hn::Store(sums[r][g], d, gates + r * gates_stride + g * lanes);
    }
  }
}

#if HWY_TARGET == HWY_SCALAR

template <int kRows>
void Int8Tile(const Int8Sums& s, size_t p, size_t row) {
  const int8_t* weights = s.weights + p * s.pairs * 8;
  for (int r = 0; r < kRows; ++r) {
    const int16_t* x = s.x + (row + r) * s.x_stride;
    float* gates = s.gates + ((row + r) * s.blocks + p) * 4;
    for (size_t g = 0; g < 4; ++g) {
      int32_t sum = 0;
      for (size_t k = 0; k < 2 * s.pairs; ++k) {
        sum += weights[(k / 2 * 4 + g) * 2 + k % 2] * x[k];
      }
      gates[g] += static_cast<float>(sum) * s.scales[p * 4 + g];
    }
  }
}

#else

using D16 = hn::Repartition<int16_t, D32>;
using D8 = hn::Rebind<int8_t, D16>;

template <int kRows>
HWY_NOINLINE void Int8Tile(const Int8Sums& s, size_t p, size_t row) {
  const D d;
  const D32 d32;
  const D16 d16;
  const D8 d8;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
  const int8_t* HWY_RESTRICT weights = s.weights + p * s.pairs * 2 * wide;
  const int16_t* HWY_RESTRICT x = s.x + row * s.x_stride;
  // Each lane's sum is spread over two, in an order that the last step knows.
  hn::Vec<D32> sums[kRows][4], others[kRows][4];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) sums[r][g] = others[r][g] = hn::Zero(d32);
  }
  for (size_t k = 0; k < s.pairs; ++k, weights += 2 * wide) {
    hn::Vec<D16> pairs[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, x + r * s.x_stride + 2 * k, sizeof(pair));
      pairs[r] = hn::BitCast(d16, hn::Set(d32, pair));
    }
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const hn::Vec<D16> weight =
          hn::PromoteTo(d16, hn::Load(d8, weights + 2 * g * lanes));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r][g] = hn::ReorderWidenMulAccumulate(d32, weight, pairs[r],
                                                   sums[r][g], others[r][g]);
      }
    }
  }
  const float* scales = s.scales + p * wide;
  float* gates = s.gates + (row * s.blocks + p) * wide;
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r, gates += s.blocks * wide) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const V sum = hn::ConvertTo(
          d, hn::RearrangeToOddPlusEven(sums[r][g], others[r][g]));
      hn::Store(hn::MulAdd(sum, hn::Load(d, scales + g * lanes),
                           hn::Load(d, gates + g * lanes)),
                d, gates + g * lanes);
    }
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

void AddFloatSums(const FloatSums& s) {
  for (size_t p = 0; p < s.blocks; ++p) {
    size_t row = 0;
    for (; row + kFloatRows <= s.rows; row += kFloatRows) {
      FloatTile<kFloatRows>(s, p, row);
    }
    for (; row < s.rows; ++row) FloatTile<1>(s, p, row);
  }
}

void AddInt8Sums(const Int8Sums& s) {
  for (size_t p = 0; p < s.blocks; ++p) {
    size_t row = 0;
    for (; row + kInt8Rows <= s.rows; row += kInt8Rows) {
      Int8Tile<kInt8Rows>(s, p, row);
    }
    for (; row < s.rows; ++row) Int8Tile<1>(s, p, row);
  }
}

void UpdateCells(const Cells& s) {
  const D d;
  const hn::Rebind<int16_t, D32> d16;
  const size_t lanes = hn::Lanes(d);
  for (size_t i = 0; i < s.rows * s.blocks; ++i) {
    const float* sums = s.gates + i * 4 * lanes;
    const size_t at = i * lanes;
    const V input = Sigmoid(d, hn::Load(d, sums));
    const V forget = Sigmoid(d, hn::Load(d, sums + lanes));
    const V cell = Tanh(d, hn::Load(d, sums + 2 * lanes));
    const V output = Sigmoid(d, hn::Load(d, sums + 3 * lanes));
    const V c = hn::MulAdd(forget, hn::Load(d, s.c + at), hn::Mul(input, cell));
    const V h = hn::Mul(output, Tanh(d, c));
    hn::Store(c, d, s.c + at);
    hn::Store(h, d, s.h + at);
    if (s.rounded == nullptr) continue;
    const auto rounded = hn::NearestInt(hn::Mul(h, hn::Set(d, s.scale)));
    hn::Store(hn::DemoteTo(d16, rounded), d16, s.rounded + at);
  }
}

void EncodeHalves(const float* in, size_t count, uint16_t* out) {
  const D d;
  const DHalf dh;
  const V largest = hn::Set(d, 65504.0f);
  for (size_t i = 0; i < count; i += hn::Lanes(d)) {
    const V value =
        hn::Max(hn::Neg(largest), hn::Min(hn::Load(d, in + i), largest));
    hn::StoreU(hn::DemoteTo(dh, value), dh,
               reinterpret_cast<hwy::float16_t*>(out + i));
  }
}

void DecodeHalves(const uint16_t* in, size_t count, float* out) {
  const D d;
  const DHalf dh;
  for (size_t i = 0; i < count; i += hn::Lanes(d)) {
    const auto half =
        hn::Load(dh, reinterpret_cast<const hwy::float16_t*>(in + i));
    hn::Store(hn::PromoteTo(d, half), d, out + i);
  }
}

size_t LanesOfInference() { return hn::Lanes(D()); }

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kodistil {

HWY_EXPORT(LanesOfInference);
HWY_EXPORT(AddFloatSums);
HWY_EXPORT(AddInt8Sums);
HWY_EXPORT(UpdateCells);
HWY_EXPORT(EncodeHalves);
HWY_EXPORT(DecodeHalves);

size_t InferenceLanes() { return HWY_DYNAMIC_DISPATCH(LanesOfInference)(); }

void RunFloatSums(const FloatSums& sums) {
  HWY_DYNAMIC_DISPATCH(AddFloatSums)(sums);
}

void RunInt8Sums(const Int8Sums& sums) {
  HWY_DYNAMIC_DISPATCH(AddInt8Sums)(sums);
}

void RunCells(const Cells& cells) { HWY_DYNAMIC_DISPATCH(UpdateCells)(cells); }

void FloatsToHalves(const float* in, size_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(EncodeHalves)(in, count, out);
}

void HalvesToFloats(const uint16_t* in, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(DecodeHalves)(in, count, out);
}

}  // namespace kodistil
#endif  // HWY_ONCE
