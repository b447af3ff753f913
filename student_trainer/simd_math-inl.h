// Vectorised sigmoid and tanh, compiled once per instruction set by Highway's
// foreach_target: to be included after hwy/foreach_target.h.

#if defined(KODISTIL_STUDENT_TRAINER_SIMD_MATH_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef KODISTIL_STUDENT_TRAINER_SIMD_MATH_INL_H_
#undef KODISTIL_STUDENT_TRAINER_SIMD_MATH_INL_H_
#else
#define KODISTIL_STUDENT_TRAINER_SIMD_MATH_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace kodistil {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// tanh(x) as an odd polynomial over an even one, on |x| <= 7.905, beyond which
// tanh is 1 in float32 (the coefficients are those of Eigen's ptanh). Absolute
// error below 4e-7, and relative error below 1e-6. A NaN stays NaN where the
// processor's min and max give their second operand.
HWY_INLINE V Tanh(D d, V x) {
  x = hn::Min(hn::Set(d, 7.90531110763549805f),
              hn::Max(hn::Set(d, -7.90531110763549805f), x));
  const V y = hn::Mul(x, x);
  V p = hn::Set(d, -2.76076847742355e-16f);
  p = hn::MulAdd(p, y, hn::Set(d, 2.00018790482477e-13f));
  p = hn::MulAdd(p, y, hn::Set(d, -8.60467152213735e-11f));
  p = hn::MulAdd(p, y, hn::Set(d, 5.12229709037114e-08f));
  p = hn::MulAdd(p, y, hn::Set(d, 1.48572235717979e-05f));
  p = hn::MulAdd(p, y, hn::Set(d, 6.37261928875436e-04f));
  p = hn::MulAdd(p, y, hn::Set(d, 4.89352455891786e-03f));
  V q = hn::Set(d, 1.19825839466702e-06f);
  q = hn::MulAdd(q, y, hn::Set(d, 1.18534705686654e-04f));
  q = hn::MulAdd(q, y, hn::Set(d, 2.26843463243900e-03f));
  q = hn::MulAdd(q, y, hn::Set(d, 4.89352518554385e-03f));
  return hn::Div(hn::Mul(x, p), q);
}

// 1 / (1 + e^-x), absolute error below 2e-7.
HWY_INLINE V Sigmoid(D d, V x) {
  const V half = hn::Set(d, 0.5f);
  return hn::MulAdd(half, Tanh(d, hn::Mul(half, x)), half);
}

}  // namespace HWY_NAMESPACE
}  // namespace kodistil
HWY_AFTER_NAMESPACE();

#endif  // KODISTIL_STUDENT_TRAINER_SIMD_MATH_INL_H_
