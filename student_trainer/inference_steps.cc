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

// sums[r] += weights * x of row r.
template <int kRows>
HWY_INLINE void MultiplyFloats(const float* HWY_RESTRICT weights, size_t depth,
                               const float* HWY_RESTRICT x, size_t x_stride,
                               V (&sums)[kRows][4]) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t k = 0; k < depth; ++k, weights += 4 * lanes) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const V weight = hn::Load(d, weights + g * lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r][g] =
            hn::MulAdd(weight, hn::Set(d, x[r * x_stride + k]), sums[r][g]);
      }
    }
  }
}

#if HWY_TARGET == HWY_SCALAR

template <int kRows, bool kVnni>
void MultiplyInt8s(const int8_t* weights, size_t depth, const uint8_t* x,
                   size_t x_stride, hn::Vec<D32> (&products)[kRows][4]) {
  for (int r = 0; r < kRows; ++r) {
    for (size_t g = 0; g < 4; ++g) {
      int32_t sum = 0;
      for (size_t k = 0; k < depth; ++k) {
        sum += weights[(k / 4 * 4 + g) * 4 + k % 4] * x[r * x_stride + k];
      }
      products[r][g] = hn::Set(D32(), sum);
    }
  }
}

#else

using D16 = hn::Repartition<int16_t, D32>;
using D8 = hn::Repartition<int8_t, D32>;

// Four of 8 bits in each lane, as two pairs of 16 bits: 0 and 2, 1 and 3.
struct Pairs {
  hn::Vec<D16> even, odd;
};
HWY_INLINE Pairs PairsOfWeights(hn::Vec<D8> weights) {
  const hn::Vec<D16> both = hn::BitCast(D16(), weights);
  return {hn::ShiftRight<8>(hn::ShiftLeft<8>(both)), hn::ShiftRight<8>(both)};
}
HWY_INLINE Pairs PairsOfStates(hn::Vec<D32> states) {
  const hn::Repartition<uint16_t, D32> du16;
  return {hn::And(hn::BitCast(D16(), states), hn::Set(D16(), 255)),
          hn::BitCast(D16(), hn::ShiftRight<8>(hn::BitCast(du16, states)))};
}

// products[r] = weights * x of row r.
template <int kRows>
HWY_INLINE void MultiplyPairs(const int8_t* HWY_RESTRICT weights, size_t depth,
                              const uint8_t* HWY_RESTRICT x, size_t x_stride,
                              hn::Vec<D32> (&products)[kRows][4]) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
  // Each lane's sum is spread over two, in an order that the last step knows.
  hn::Vec<D32> sums[kRows][4], others[kRows][4];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) sums[r][g] = others[r][g] = hn::Zero(d32);
  }
  for (size_t k = 0; k < depth; k += 4, weights += 16 * lanes) {
    Pairs states[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * x_stride + k, sizeof(four));
      states[r] = PairsOfStates(hn::Set(d32, four));
    }
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const Pairs weight =
          PairsOfWeights(hn::Load(D8(), weights + 4 * g * lanes));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r][g] = hn::ReorderWidenMulAccumulate(
            d32, weight.even, states[r].even, sums[r][g], others[r][g]);
        sums[r][g] = hn::ReorderWidenMulAccumulate(
            d32, weight.odd, states[r].odd, sums[r][g], others[r][g]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      products[r][g] = hn::RearrangeToOddPlusEven(sums[r][g], others[r][g]);
    }
  }
}

#if HWY_TARGET == HWY_AVX3

template <int kRows>
HWY_INLINE void MultiplyVnni(const int8_t* HWY_RESTRICT weights, size_t depth,
                             const uint8_t* HWY_RESTRICT x, size_t x_stride,
                             hn::Vec<D32> (&products)[kRows][4]) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) products[r][g] = hn::Zero(d32);
  }
  for (size_t k = 0; k < depth; k += 4, weights += 16 * lanes) {
    hn::Vec<D32> states[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * x_stride + k, sizeof(four));
      states[r] = hn::Set(d32, four);
    }
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const hn::Vec<D8> weight = hn::Load(D8(), weights + 4 * g * lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        // Highway 1.0 has it nowhere; see docs/adr/0027-eight-bit-products.md.
        asm("vpdpbusd %2, %1, %0"
            : "+v"(products[r][g].raw)
            : "v"(states[r].raw), "v"(weight.raw));
      }
    }
  }
}

#endif  // HWY_TARGET == HWY_AVX3

template <int kRows, bool kVnni>
HWY_INLINE void MultiplyInt8s(const int8_t* weights, size_t depth,
                              const uint8_t* x, size_t x_stride,
                              hn::Vec<D32> (&products)[kRows][4]) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (kVnni) {
    return MultiplyVnni<kRows>(weights, depth, x, x_stride, products);
  }
#endif
  MultiplyPairs<kRows>(weights, depth, x, x_stride, products);
}

#endif  // HWY_TARGET == HWY_SCALAR

template <int kRows>
HWY_NOINLINE void FloatTile(const FloatSums& s, size_t p, size_t row) {
  const D d;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
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
  MultiplyFloats<kRows>(s.weights + p * s.depth * wide, s.depth,
                        s.x + row * s.x_stride, s.x_stride, sums);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      hn::Store(sums[r][g], d, gates + r * gates_stride + g * lanes);
    }
  }
}

// gate + scales * (product - offsets), of the lanes from `at` on.
template <class S>
HWY_INLINE V AddScaled(hn::Vec<D32> product, const S& s, size_t at, V gate) {
  const D d;
  const auto sum = hn::Sub(product, hn::Load(D32(), s.offsets + at));
  return hn::MulAdd(hn::ConvertTo(d, sum), hn::Load(d, s.scales + at), gate);
}

template <int kRows, bool kVnni>
HWY_NOINLINE void Int8Tile(const Int8Sums& s, size_t p, size_t row) {
  const D d;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
  hn::Vec<D32> products[kRows][4];
  MultiplyInt8s<kRows, kVnni>(s.weights + p * s.depth * wide, s.depth,
                              s.x + row * s.x_stride, s.x_stride, products);
  float* gates = s.gates + (row * s.blocks + p) * wide;
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r, gates += s.blocks * wide) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      hn::Store(AddScaled(products[r][g], s, p * wide + g * lanes,
                          hn::Load(d, gates + g * lanes)),
                d, gates + g * lanes);
    }
  }
}

// A block's state `c` and, returned, h.
HWY_INLINE V UpdateCell(const V (&gates)[4], float* c_of_block) {
  const D d;
  const Fraction input = SigmoidFraction(d, gates[0]);
  const Fraction forget = SigmoidFraction(d, gates[1]);
  const Fraction cell = TanhFraction(d, gates[2]);
  const Fraction output = SigmoidFraction(d, gates[3]);
  // forget * c + input * cell, and output * tanh(c), with a division each.
  const V added_q = hn::Mul(input.q, cell.q);
  const V added_p = hn::Mul(hn::Mul(input.p, cell.p), forget.q);
  const V kept_p = hn::Mul(forget.p, hn::Load(d, c_of_block));
  const V c =
      hn::Div(hn::MulAdd(kept_p, added_q, added_p), hn::Mul(forget.q, added_q));
  hn::Store(c, d, c_of_block);
  const Fraction state = TanhFraction(d, c);
  return hn::Div(hn::Mul(output.p, state.p), hn::Mul(output.q, state.q));
}

// Fetches a block of a row's entry for the next step.
template <class T>
HWY_INLINE void FetchNext(const RecurrentStep& s, const T* table, size_t p,
                          size_t row) {
  constexpr size_t kLine = 64 / sizeof(T);
  const size_t wide = 4 * hn::Lanes(D());
  const T* next = table + (s.next_entries[row] * s.blocks + p) * wide;
  for (size_t i = 0; i < wide; i += kLine) __builtin_prefetch(next + i);
}

HWY_INLINE V LoadGate(const float* table, size_t at) {
  return hn::Load(D(), table + at);
}
HWY_INLINE V LoadGate(const uint16_t* table, size_t at) {
  return hn::PromoteTo(
      D(),
      hn::Load(DHalf(), reinterpret_cast<const hwy::float16_t*>(table + at)));
}

template <int kRows>
HWY_NOINLINE void FloatStepTile(const RecurrentStep& s, size_t p, size_t row) {
  const D d;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
  const size_t units = s.blocks * lanes;
  V gates[kRows][4];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    const size_t at = (s.entries[row + r] * s.blocks + p) * wide;
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      gates[r][g] = LoadGate(s.table, at + g * lanes);
    }
    FetchNext(s, s.table, p, row + r);
  }
  MultiplyFloats<kRows>(s.weights + p * s.depth * wide, s.depth,
                        s.x + row * units, units, gates);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    const size_t at = (row + r) * units + p * lanes;
    const V h = UpdateCell(gates[r], s.c + at);
    hn::Store(h, d, s.h + at);
    hn::Store(h, d, s.next_x + at);
  }
}

template <int kRows, bool kVnni, class T>
HWY_INLINE void Int8StepTile(const RecurrentStep& s, const T* table, size_t p,
                             size_t row) {
  const D d;
  const D32 d32;
  const hn::Rebind<uint8_t, D32> d8;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
  const size_t units = s.blocks * lanes;
  hn::Vec<D32> products[kRows][4];
  MultiplyInt8s<kRows, kVnni>(s.int8s + p * s.depth * wide, s.depth,
                              s.rounded + row * units, units, products);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    const size_t entry = (s.entries[row + r] * s.blocks + p) * wide;
    V gates[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      gates[g] = LoadGate(table, entry + g * lanes);
      if (s.depth == 0) continue;
      gates[g] = AddScaled(products[r][g], s, p * wide + g * lanes, gates[g]);
    }
    FetchNext(s, table, p, row + r);
    const size_t at = (row + r) * units + p * lanes;
    const V h = UpdateCell(gates, s.c + at);
    hn::Store(h, d, s.h + at);
    const auto rounded = hn::NearestInt(hn::Mul(h, hn::Set(d, kStateScale)));
    hn::Store(hn::DemoteTo(d8, hn::Add(rounded, hn::Set(d32, kStateZero))), d8,
              s.next_rounded + at);
  }
}

// What a tile is made for.
struct FloatSumsTile {
  static constexpr int kMost = kFloatRows;
  template <int kRows>
  static void Run(const FloatSums& s, size_t p, size_t row) {
    FloatTile<kRows>(s, p, row);
  }
};
template <bool kVnni>
struct Int8SumsTile {
  static constexpr int kMost = kInt8Rows;
  template <int kRows>
  static void Run(const Int8Sums& s, size_t p, size_t row) {
    Int8Tile<kRows, kVnni>(s, p, row);
  }
};
struct FloatStep {
  static constexpr int kMost = kFloatRows;
  template <int kRows>
  static void Run(const RecurrentStep& s, size_t p, size_t row) {
    FloatStepTile<kRows>(s, p, row);
  }
};
template <bool kVnni>
struct Int8Step {
  static constexpr int kMost = kInt8Rows;
  template <int kRows>
  HWY_NOINLINE static void Run(const RecurrentStep& s, size_t p, size_t row) {
    Int8StepTile<kRows, kVnni>(s, s.table, p, row);
  }
};
template <bool kVnni>
struct HalvesStep {
  static constexpr int kMost = kInt8Rows;
  template <int kRows>
  HWY_NOINLINE static void Run(const RecurrentStep& s, size_t p, size_t row) {
    Int8StepTile<kRows, kVnni>(s, s.table_halves, p, row);
  }
};

// The tile of the rows from `row` on, kRows or fewer.
template <class Tile, int kRows, class S>
void RunRest(const S& s, size_t p, size_t row) {
  if constexpr (kRows > 1) {
    if (s.rows - row < kRows) return RunRest<Tile, kRows - 1>(s, p, row);
  }
  Tile::template Run<kRows>(s, p, row);
}

// A block's weights stay in the first-level cache for all rows.
template <class Tile, class S>
void RunTiles(const S& s) {
  for (size_t p = 0; p < s.blocks; ++p) {
    for (size_t row = 0; row < s.rows; row += Tile::kMost) {
      RunRest<Tile, Tile::kMost>(s, p, row);
    }
  }
}

void AddFloatSums(const FloatSums& s) { RunTiles<FloatSumsTile>(s); }

void AddInt8Sums(const Int8Sums& s) {
#if HWY_TARGET == HWY_AVX3
  if (s.vnni) return RunTiles<Int8SumsTile<true>>(s);
#endif
  RunTiles<Int8SumsTile<false>>(s);
}

template <bool kVnni>
void StepInt8Rows(const RecurrentStep& s) {
  if (s.table != nullptr) {
    RunTiles<Int8Step<kVnni>>(s);
  } else {
    RunTiles<HalvesStep<kVnni>>(s);
  }
}

void StepRows(const RecurrentStep& s) {
  if (s.int8s == nullptr) return RunTiles<FloatStep>(s);
#if HWY_TARGET == HWY_AVX3
  if (s.vnni) return StepInt8Rows<true>(s);
#endif
  StepInt8Rows<false>(s);
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

size_t LanesOfInference() { return hn::Lanes(D()); }

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kodistil {

HWY_EXPORT(LanesOfInference);
HWY_EXPORT(AddFloatSums);
HWY_EXPORT(AddInt8Sums);
HWY_EXPORT(StepRows);
HWY_EXPORT(EncodeHalves);

bool HasVnni() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

size_t InferenceLanes() { return HWY_DYNAMIC_DISPATCH(LanesOfInference)(); }

void RunFloatSums(const FloatSums& sums) {
  HWY_DYNAMIC_DISPATCH(AddFloatSums)(sums);
}

void RunInt8Sums(const Int8Sums& sums) {
  HWY_DYNAMIC_DISPATCH(AddInt8Sums)(sums);
}

void RunStep(const RecurrentStep& step) {
  HWY_DYNAMIC_DISPATCH(StepRows)(step);
}

void FloatsToHalves(const float* in, size_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(EncodeHalves)(in, count, out);
}

}  // namespace kodistil
#endif  // HWY_ONCE
