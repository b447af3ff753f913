#include "student_trainer/lstm_kernels.h"

#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

// Each kernel is compiled twice, for any x86-64 and for AVX2 with FMA, and
// chosen when it runs: the build does not assume the latter.
#if defined(__x86_64__)
#define KODISTIL_AVX2 __attribute__((target("avx2,fma")))
#define KODISTIL_HAS_AVX2 \
  (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define KODISTIL_AVX2
#define KODISTIL_HAS_AVX2 false
#endif
#define KODISTIL_INLINE static inline __attribute__((always_inline))

namespace kodistil {
namespace {

constexpr float kBeta1 = 0.9f;
constexpr float kBeta2 = 0.999f;
constexpr float kEpsilon = 1e-8f;

// e^x for |x| <= 87 with a relative error below 3e-7, without branches so that
// loops over it become vector code: x = n ln 2 + r, and a polynomial for e^r
// (coefficients of Cephes' expf).
KODISTIL_INLINE float Exp(float x) {
  const float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: rounds
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  // The low bits of `shifted` hold n; shifting leaves n in the exponent.
  const uint32_t scale_bits = (static_cast<uint32_t>(bits) << 23) + 0x3f800000u;
  float scale;
  std::memcpy(&scale, &scale_bits, sizeof(scale));
  return p * scale;
}

// A NaN stays NaN.
KODISTIL_INLINE float Clamp(float x, float limit) {
  x = x > limit ? limit : x;
  return x < -limit ? -limit : x;
}

KODISTIL_INLINE float Sigmoid(float x) {
  return 1.0f / (1.0f + Exp(-Clamp(x, 40.0f)));
}

KODISTIL_INLINE float Tanh(float x) {
  return 2.0f / (1.0f + Exp(-2.0f * Clamp(x, 20.0f))) - 1.0f;
}

template <bool continued>
KODISTIL_INLINE void ForwardRow(int64_t hidden, float* __restrict gates,
                                const float* __restrict c_before,
                                float* __restrict c, float* __restrict tanh_c,
                                float* __restrict h) {
  for (int64_t j = 0; j < hidden; ++j) {
    const float i = Sigmoid(gates[j]);
    const float f = Sigmoid(gates[hidden + j]);
    const float g = Tanh(gates[2 * hidden + j]);
    const float o = Sigmoid(gates[3 * hidden + j]);
    const float state = continued ? f * c_before[j] + i * g : i * g;
    const float t = Tanh(state);
    gates[j] = i;
    gates[hidden + j] = f;
    gates[2 * hidden + j] = g;
    gates[3 * hidden + j] = o;
    c[j] = state;
    tanh_c[j] = t;
    h[j] = o * t;
  }
}

KODISTIL_INLINE void Forward(const LstmStepForward& s) {
  const int64_t n = s.hidden;
  for (int64_t b = 0; b < s.continued; ++b) {
    ForwardRow<true>(n, s.gates + b * 4 * n, s.c_before + b * n, s.c + b * n,
                     s.tanh_c + b * n, s.h + b * n);
  }
  for (int64_t b = s.continued; b < s.rows; ++b) {
    ForwardRow<false>(n, s.gates + b * 4 * n, nullptr, s.c + b * n,
                      s.tanh_c + b * n, s.h + b * n);
  }
}

template <bool continued, bool carried>
KODISTIL_INLINE void BackwardRow(int64_t hidden, float* __restrict gates,
                                 const float* __restrict c_before,
                                 const float* __restrict tanh_c,
                                 const float* __restrict dh,
                                 const float* __restrict dh_carry,
                                 float* __restrict dc_carry) {
  for (int64_t j = 0; j < hidden; ++j) {
    const float i = gates[j];
    const float f = gates[hidden + j];
    const float g = gates[2 * hidden + j];
    const float o = gates[3 * hidden + j];
    const float t = tanh_c[j];
    const float d = carried ? dh[j] + dh_carry[j] : dh[j];
    float dc = d * o * (1.0f - t * t);
    if (carried) dc += dc_carry[j];
    gates[j] = dc * g * i * (1.0f - i);
    gates[hidden + j] = continued ? dc * c_before[j] * f * (1.0f - f) : 0.0f;
    gates[2 * hidden + j] = dc * i * (1.0f - g * g);
    gates[3 * hidden + j] = d * t * o * (1.0f - o);
    if (continued) dc_carry[j] = dc * f;
  }
}

KODISTIL_INLINE void Backward(const LstmStepBackward& s) {
  const int64_t n = s.hidden;
  for (int64_t b = 0; b < s.rows; ++b) {
    const bool continued = b < s.continued;
    const bool carried = b < s.carried;
    float* gates = s.gates + b * 4 * n;
    const float* c_before = continued ? s.c_before + b * n : nullptr;
    const float* tanh_c = s.tanh_c + b * n;
    const float* dh = s.dh + b * n;
    const float* dh_carry = carried ? s.dh_carry + b * n : nullptr;
    float* dc = continued || carried ? s.dc_carry + b * n : nullptr;
    if (continued && carried) {
      BackwardRow<true, true>(n, gates, c_before, tanh_c, dh, dh_carry, dc);
    } else if (continued) {
      BackwardRow<true, false>(n, gates, c_before, tanh_c, dh, dh_carry, dc);
    } else if (carried) {
      BackwardRow<false, true>(n, gates, c_before, tanh_c, dh, dh_carry, dc);
    } else {
      BackwardRow<false, false>(n, gates, c_before, tanh_c, dh, dh_carry, dc);
    }
  }
}

KODISTIL_INLINE void Adam(const AdamStep& s) {
  float* __restrict parameters = s.parameters;
  const float* __restrict gradient = s.gradient;
  float* __restrict mean = s.mean;
  float* __restrict square = s.square;
  for (int64_t k = 0; k < s.size; ++k) {
    const float g = gradient[k];
    const float m = mean[k] * kBeta1 + g * (1.0f - kBeta1);
    const float v = square[k] * kBeta2 + g * g * (1.0f - kBeta2);
    mean[k] = m;
    square[k] = v;
    parameters[k] =
        parameters[k] * s.decay -
        s.step_size * m / (std::sqrt(v) / s.root_correction + kEpsilon);
  }
}

// Treats denormal numbers as zero while it lives. The moments of a word that
// has not come up for a while decay into them, and they cost a hundred cycles
// each.
class NoDenormals {
 public:
#if defined(__x86_64__)
  NoDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~NoDenormals() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
#endif
};

void ForwardBase(const LstmStepForward& s) { Forward(s); }
KODISTIL_AVX2 void ForwardAvx2(const LstmStepForward& s) { Forward(s); }
void BackwardBase(const LstmStepBackward& s) { Backward(s); }
KODISTIL_AVX2 void BackwardAvx2(const LstmStepBackward& s) { Backward(s); }
void AdamBase(const AdamStep& s) { Adam(s); }
KODISTIL_AVX2 void AdamAvx2(const AdamStep& s) { Adam(s); }

const bool kHasAvx2 = KODISTIL_HAS_AVX2;

}  // namespace

void RunLstmStep(const LstmStepForward& step) {
  kHasAvx2 ? ForwardAvx2(step) : ForwardBase(step);
}

void RunLstmStep(const LstmStepBackward& step) {
  kHasAvx2 ? BackwardAvx2(step) : BackwardBase(step);
}

void RunAdam(const AdamStep& step) {
  const NoDenormals no_denormals;
  kHasAvx2 ? AdamAvx2(step) : AdamBase(step);
}

}  // namespace kodistil
