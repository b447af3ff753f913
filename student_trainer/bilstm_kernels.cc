#include "student_trainer/bilstm_kernels.h"

#include <algorithm>

#include "student_trainer/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "student_trainer/bilstm_kernels.cc"
#include "hwy/foreach_target.h"
// Highway's order: after foreach_target.h.
#include "hwy/highway.h"
#include "student_trainer/simd_math.inc"

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {

// Sums that stay in registers: 32 registers with AVX-512 and NEON, else 16.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kSums = 24;
#else
constexpr int kSums = 12;
#endif

// Rows of a tile that is kVectors wide.
template <int kVectors>
constexpr int kTileRows = kSums / kVectors > 12 ? 12 : kSums / kVectors;

// sums[r][v] += a[r * row_stride + k * depth_stride] * b[k][v], over k.
template <int kRows, int kVectors>
HWY_INLINE void MultiplyAdd(const float* HWY_RESTRICT a, size_t row_stride,
                            size_t depth_stride, const float* HWY_RESTRICT b,
                            size_t b_stride, size_t depth,
                            V (&sums)[kRows][kVectors]) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t k = 0; k < depth; ++k) {
    V factors[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) factors[v] = hn::Load(d, b + v * lanes);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const V value = hn::Set(d, a[r * row_stride]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = hn::MulAdd(value, factors[v], sums[r][v]);
      }
    }
    a += depth_stride;
    b += b_stride;
  }
}

// Calls tile.template Run<kRows>(row) for tiles of at most kMost rows, as even
// as can be, that cover `begin` to `end`.
template <int kRows, class Tile>
HWY_INLINE void RunTile(const Tile& tile, size_t row, size_t rows) {
  if (rows == kRows) {
    tile.template Run<kRows>(row);
  } else if constexpr (kRows > 1) {
    RunTile<kRows - 1>(tile, row, rows);
  }
}

template <int kMost, class Tile>
HWY_INLINE void ForTiles(size_t begin, size_t end, const Tile& tile) {
  const size_t count = end - begin;
  const size_t tiles = (count + kMost - 1) / kMost;
  if (tiles == 0) return;
  const size_t small = count / tiles, larger = count % tiles;
  for (size_t t = 0; t < tiles; ++t) {
    const size_t rows = small + (t < larger ? 1 : 0);
    RunTile<kMost>(tile, begin, rows);
    begin += rows;
  }
}

// The lanes of block p that hold hidden units; all but in the last block.
HWY_INLINE size_t UnitsOf(size_t hidden, size_t p) {
  const size_t lanes = hn::Lanes(D());
  return std::min(lanes, hidden - p * lanes);
}

// Sums, activations and states of one block, for some rows.
template <bool kContinued>
struct ForwardTile {
  const LstmForward& s;
  size_t p;

  template <int kRows>
  HWY_NOINLINE void Run(size_t row) const {
    const D d;
    const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
    const float* weights = s.weights + p * (s.input + s.hidden + 2) * wide;
    const float* biases = weights + (s.input + s.hidden) * wide;
    V sums[kRows][4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const V bias = hn::Add(hn::Load(d, biases + g * lanes),
                             hn::Load(d, biases + wide + g * lanes));
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) sums[r][g] = bias;
    }
    MultiplyAdd(s.x + row * s.x_stride, s.x_stride, 1, weights, wide, s.input,
                sums);
    if (kContinued) {
      MultiplyAdd(s.h_before + row * s.h_stride, s.h_stride, 1,
                  weights + s.input * wide, wide, s.hidden, sums);
    }
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) Activate(sums[r], row + r);
  }

  HWY_INLINE void Activate(const V (&sums)[4], size_t row) const {
    const D d;
    const size_t lanes = hn::Lanes(d), at = p * s.c_panel + row * lanes;
    const V i = Sigmoid(d, sums[0]), f = Sigmoid(d, sums[1]);
    const V g = Tanh(d, sums[2]), o = Sigmoid(d, sums[3]);
    V c = hn::Mul(i, g);
    if (kContinued) c = hn::MulAdd(f, hn::Load(d, s.c_before + at), c);
    const V t = Tanh(d, c);
    hn::Store(c, d, s.c + at);
    const V h = hn::Mul(o, t);
    const size_t units = UnitsOf(s.hidden, p);
    float* to = s.h + row * s.h_stride + p * lanes;
    if (units == lanes) {
      hn::StoreU(h, d, to);
    } else {
      hn::BlendedStore(h, hn::FirstN(d, units), d, to);
    }
    if (s.gates == nullptr) return;
    float* gates = s.gates + p * s.gates_panel + row * 4 * lanes;
    hn::Store(i, d, gates);
    hn::Store(f, d, gates + lanes);
    hn::Store(g, d, gates + 2 * lanes);
    hn::Store(o, d, gates + 3 * lanes);
    hn::Store(t, d, s.tanh_c + at);
  }
};

void Forward(const LstmForward& step) {
  const size_t lanes = hn::Lanes(D());
  for (size_t p = 0; p * lanes < step.hidden; ++p) {
    ForTiles<kTileRows<4>>(0, step.continued, ForwardTile<true>{step, p});
    ForTiles<kTileRows<4>>(step.continued, step.rows,
                           ForwardTile<false>{step, p});
  }
}

template <bool kContinued, bool kWhole>
HWY_INLINE void BackwardRow(const LstmBackward& s, size_t p, size_t row) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const size_t at = p * s.c_panel + row * lanes;
  const size_t carry = (row * ((s.hidden + lanes - 1) / lanes) + p) * lanes;
  float* gates = s.gates + p * s.gates_panel + row * 4 * lanes;
  const V i = hn::Load(d, gates), f = hn::Load(d, gates + lanes);
  const V g = hn::Load(d, gates + 2 * lanes);
  const V o = hn::Load(d, gates + 3 * lanes);
  const V t = hn::Load(d, s.tanh_c + at), one = hn::Set(d, 1.0f);
  V dh = hn::Load(d, s.dh_carry + carry);
  for (const float* above : s.dh_above) {
    if (above == nullptr) continue;
    const float* from = above + row * s.dh_stride + p * lanes;
    dh = hn::Add(
        dh, kWhole
                ? hn::LoadU(d, from)
                : hn::MaskedLoad(hn::FirstN(d, UnitsOf(s.hidden, p)), d, from));
  }
  // dc = dc' + dh o (1 - t^2)
  const V dc = hn::MulAdd(hn::Mul(dh, o), hn::NegMulAdd(t, t, one),
                          hn::Load(d, s.dc_carry + carry));
  const V di = hn::Mul(hn::Mul(dc, g), hn::Mul(i, hn::Sub(one, i)));
  const V dg = hn::Mul(hn::Mul(dc, i), hn::NegMulAdd(g, g, one));
  const V dout = hn::Mul(hn::Mul(dh, t), hn::Mul(o, hn::Sub(one, o)));
  V df = hn::Zero(d);
  if (kContinued) {
    df = hn::Mul(hn::Mul(dc, hn::Load(d, s.c_before + at)),
                 hn::Mul(f, hn::Sub(one, f)));
    hn::Store(hn::Mul(dc, f), d, s.dc_carry + carry);
  }
  hn::Store(di, d, gates);
  hn::Store(df, d, gates + lanes);
  hn::Store(dg, d, gates + 2 * lanes);
  hn::Store(dout, d, gates + 3 * lanes);
}

template <bool kWhole>
void BackwardBlock(const LstmBackward& s, size_t p) {
  for (size_t row = 0; row < s.continued; ++row) {
    BackwardRow<true, kWhole>(s, p, row);
  }
  for (size_t row = s.continued; row < s.rows; ++row) {
    BackwardRow<false, kWhole>(s, p, row);
  }
}

void Backward(const LstmBackward& step) {
  const size_t lanes = hn::Lanes(D());
  for (size_t p = 0; p * lanes < step.hidden; ++p) {
    if (UnitsOf(step.hidden, p) == lanes) {
      BackwardBlock<true>(step, p);
    } else {
      BackwardBlock<false>(step, p);
    }
  }
}

// kVectors vectors of columns, for some rows.
template <int kVectors>
struct ProductTile {
  const GatesProduct& s;
  const float* weights;  // [P][4][L][kVectors][L]
  size_t column;

  template <int kRows>
  HWY_NOINLINE void Run(size_t row) const {
    const D d;
    const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
    V sums[kRows][kVectors];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
    }
    for (size_t p = 0; p * lanes < s.hidden; ++p) {
      MultiplyAdd(s.gates + p * s.gates_panel + row * wide, wide, 1,
                  weights + p * wide * kVectors * lanes, kVectors * lanes, wide,
                  sums);
    }
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      float* out = s.out + (row + r) * s.out_stride + column;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(sums[r][v], d, out + v * lanes);
      }
    }
  }
};

template <int kVectors>
void ProductPanel(const GatesProduct& s, const float* weights, size_t column) {
  ForTiles<kTileRows<kVectors>>(0, s.rows,
                                ProductTile<kVectors>{s, weights, column});
}

void Product(const GatesProduct& product) {
  const size_t lanes = hn::Lanes(D());
  const size_t depth = (product.hidden + lanes - 1) / lanes * 4 * lanes;
  const size_t vectors = (product.columns + lanes - 1) / lanes;
  const float* weights = product.weights;
  for (size_t v = 0; v < vectors; v += 4) {
    const size_t count = std::min<size_t>(4, vectors - v);
    switch (count) {
      case 1:
        ProductPanel<1>(product, weights, v * lanes);
        break;
      case 2:
        ProductPanel<2>(product, weights, v * lanes);
        break;
      case 3:
        ProductPanel<3>(product, weights, v * lanes);
        break;
      default:
        ProductPanel<4>(product, weights, v * lanes);
    }
    weights += depth * count * lanes;
  }
}

// Some rows of one block.
struct GradientTile {
  const WeightGradient& s;
  size_t p;

  template <int kRows>
  HWY_NOINLINE void Run(size_t row) const {
    const D d;
    const size_t lanes = hn::Lanes(d), wide = 4 * lanes;
    float* out = s.out + p * s.out_panel + row * wide;
    V sums[kRows][4];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        sums[r][v] = s.accumulate ? hn::Load(d, out + r * wide + v * lanes)
                                  : hn::Zero(d);
      }
    }
    MultiplyAdd(s.a + row, 1, s.a_stride, s.gates + p * s.gates_panel, wide,
                s.tokens, sums);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        hn::Store(sums[r][v], d, out + r * wide + v * lanes);
      }
    }
  }
};

void Gradient(const WeightGradient& gradient) {
  const size_t lanes = hn::Lanes(D());
  for (size_t p = 0; p * lanes < gradient.hidden; ++p) {
    ForTiles<kTileRows<4>>(0, gradient.rows, GradientTile{gradient, p});
  }
}

size_t LanesOfTarget() { return hn::Lanes(D()); }

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kodistil {

HWY_EXPORT(LanesOfTarget);
HWY_EXPORT(Forward);
HWY_EXPORT(Backward);
HWY_EXPORT(Product);
HWY_EXPORT(Gradient);

size_t SimdLanes() { return HWY_DYNAMIC_DISPATCH(LanesOfTarget)(); }

void RunForward(const LstmForward& step) {
  HWY_DYNAMIC_DISPATCH(Forward)(step);
}

void RunBackward(const LstmBackward& step) {
  HWY_DYNAMIC_DISPATCH(Backward)(step);
}

void RunProduct(const GatesProduct& product) {
  HWY_DYNAMIC_DISPATCH(Product)(product);
}

void RunWeightGradient(const WeightGradient& gradient) {
  HWY_DYNAMIC_DISPATCH(Gradient)(gradient);
}

size_t TransposedWeights(size_t hidden, size_t columns) {
  const size_t lanes = SimdLanes();
  return (hidden + lanes - 1) / lanes * 4 * lanes *
         ((columns + lanes - 1) / lanes * lanes);
}

void TransposeWeights(size_t hidden, const float* weights, size_t weight_rows,
                      size_t begin, size_t columns, float* out) {
  const size_t lanes = SimdLanes(), wide = 4 * lanes;
  const size_t blocks = (hidden + lanes - 1) / lanes;
  const size_t padded = (columns + lanes - 1) / lanes * lanes;
  for (size_t from = 0; from < columns; from += wide) {
    const size_t width = std::min(wide, padded - from);
    const size_t count = std::min(wide, columns - from);
    for (size_t p = 0; p < blocks; ++p) {
      const float* rows = weights + (p * weight_rows + begin + from) * wide;
      for (size_t j = 0; j < wide; ++j, out += width) {
        for (size_t k = 0; k < count; ++k) out[k] = rows[k * wide + j];
      }
    }
  }
}

}  // namespace kodistil
#endif  // HWY_ONCE
