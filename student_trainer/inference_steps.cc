#include "student_trainer/inference_steps.h"

#include "student_trainer/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "student_trainer/inference_steps.cc"
#include "hwy/foreach_target.h"
// Highway's order: after foreach_target.h.
#include "hwy/highway.h"
#include "student_trainer/gate_products.inc"
#include "student_trainer/lstm_cell.inc"
#include "student_trainer/simd_math.inc"

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {

using DHalf = hn::Rebind<hwy::float16_t, D>;

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

// What a block's integer sums begin with.
template <int kRows, class S>
HWY_INLINE void BeginInt8s(const S& s, size_t p,
                           hn::Vec<D32> (&products)[kRows][4]) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
#pragma GCC unroll 4
  for (size_t g = 0; g < 4; ++g) {
    const auto start =
        hn::Sub(hn::Zero(d32), hn::Load(d32, s.offsets + (4 * p + g) * lanes));
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) products[r][g] = start;
  }
}

// gate + scales * product, of the lanes from `at` on.
template <class S>
HWY_INLINE V AddScaled(hn::Vec<D32> product, const S& s, size_t at, V gate) {
  const D d;
  return hn::MulAdd(hn::ConvertTo(d, product), hn::Load(d, s.scales + at),
                    gate);
}

template <int kRows, bool kVnni>
HWY_NOINLINE void Int8Tile(const Int8Sums& s, size_t p, size_t row) {
  const D d;
  const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
  hn::Vec<D32> products[kRows][4];
  BeginInt8s(s, p, products);
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

// Has the entries of a tile's rows fetched: they are needed after its product.
template <int kRows, class T>
HWY_INLINE void Fetch(const RecurrentStep& s, const T* table, size_t p,
                      size_t row) {
  constexpr size_t kLine = 64 / sizeof(T);
  const size_t wide = 4 * hn::Lanes(D());
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    const T* entry = table + (s.entries[row + r] * s.blocks + p) * wide;
    for (size_t i = 0; i < wide; i += kLine) __builtin_prefetch(entry + i);
  }
}

HWY_INLINE V LoadGate(const float* table, size_t at) {
  return hn::Load(D(), table + at);
}
HWY_INLINE V LoadGate(const uint16_t* table, size_t at) {
  return hn::PromoteTo(
      D(),
      hn::Load(DHalf(), reinterpret_cast<const hwy::float16_t*>(table + at)));
}

// Of a step's tile: its gates [4][rows], and what states become. All is done
// for a few rows at a time in registers.
struct FloatStep {
  static constexpr int kMost = kFloatRows;
  using Cells = FloatCells;

  template <int kRows>
  static HWY_INLINE void Gates(const RecurrentStep& s, size_t p, size_t row,
                               V (&gates)[4][kRows]) {
    const size_t lanes = hn::Lanes(D()), units = s.blocks * lanes;
    Fetch<kRows>(s, s.table, p, row);
    V sums[kRows][4];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) sums[r][g] = hn::Zero(D());
    }
    MultiplyFloats<kRows>(s.weights + p * s.depth * 4 * lanes, s.depth,
                          s.x + row * units, units, sums);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const size_t at = (s.entries[row + r] * s.blocks + p) * 4 * lanes;
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        gates[g][r] = hn::Add(sums[r][g], LoadGate(s.table, at + g * lanes));
      }
    }
  }

  static HWY_INLINE void Keep(const RecurrentStep& s, V h, size_t at) {
    hn::Store(h, D(), s.next_x + at);
  }
};

template <bool kVnni, class T>
struct Int8Step {
  static constexpr int kMost = kInt8Rows;
  using Cells = Int8Cells;

  template <int kRows>
  static HWY_INLINE void Gates(const RecurrentStep& s, size_t p, size_t row,
                               V (&gates)[4][kRows]) {
    const size_t lanes = hn::Lanes(D()), units = s.blocks * lanes;
    const T* table = Table(s);
    Fetch<kRows>(s, table, p, row);
    hn::Vec<D32> products[kRows][4];
    BeginInt8s(s, p, products);
    MultiplyInt8s<kRows, kVnni>(s.int8s + p * s.depth * 4 * lanes, s.depth,
                                s.rounded + row * units, units, products);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const size_t at = (s.entries[row + r] * s.blocks + p) * 4 * lanes;
#pragma GCC unroll 4
      for (size_t g = 0; g < 4; ++g) {
        gates[g][r] = LoadGate(table, at + g * lanes);
        if (s.depth == 0) continue;
        gates[g][r] =
            AddScaled(products[r][g], s, (4 * p + g) * lanes, gates[g][r]);
      }
    }
  }

  static HWY_INLINE void Keep(const RecurrentStep& s, V h, size_t at) {
    const D d;
    const hn::Rebind<uint32_t, D> du32;
    const hn::Rebind<uint8_t, D> du8;
    // 1.5 * 2^23: the sum's last bits are the integer.
    const V rounded = hn::MulAdd(h, hn::Set(d, kStateScale),
                                 hn::Set(d, 12582912.0f + kStateZero));
    hn::Store(hn::TruncateTo(du8, hn::BitCast(du32, rounded)), du8,
              s.next_rounded + at);
  }

  static const T* Table(const RecurrentStep& s) {
    if constexpr (sizeof(T) == sizeof(float)) {
      return s.table;
    } else {
      return s.table_halves;
    }
  }
};

template <class Step>
struct StepTile {
  static constexpr int kMost = Step::kMost;
  const RecurrentStep& step;
  const size_t rows;
  const size_t blocks;
  const typename Step::Cells cells;

  template <int kRows>
  static HWY_NOINLINE void Run(const StepTile& tile, size_t p, size_t row) {
    const RecurrentStep& s = tile.step;
    const D d;
    const size_t lanes = hn::Lanes(d);
    V gates[4][kRows], h[kRows];
    float* c[kRows];
    Step::Gates(s, p, row, gates);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      c[r] = s.c + ((row + r) * s.blocks + p) * lanes;
    }
    tile.cells.Update(gates, c, h);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const size_t at = ((row + r) * s.blocks + p) * lanes;
      hn::Store(h[r], d, s.h + at);
      Step::Keep(s, h[r], at);
    }
  }
};

template <class Step>
void StepTiles(const RecurrentStep& s) {
  RunTiles<StepTile<Step>>(StepTile<Step>{s, s.rows, s.blocks, {}});
}

template <bool kVnni>
void StepInt8Rows(const RecurrentStep& s) {
  if (s.table != nullptr) {
    StepTiles<Int8Step<kVnni, float>>(s);
  } else {
    StepTiles<Int8Step<kVnni, uint16_t>>(s);
  }
}

void StepRows(const RecurrentStep& s) {
  if (s.int8s == nullptr) return StepTiles<FloatStep>(s);
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
