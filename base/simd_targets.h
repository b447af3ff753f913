// Which instruction sets the SIMD files are compiled for. To be included before
// Highway's headers.

#ifndef KODISTIL_BASE_SIMD_TARGETS_H_
#define KODISTIL_BASE_SIMD_TARGETS_H_

// AVX2, AVX-512 and NEON, and the compiler's baseline for all others: vectors
// whose size is not known when compiling cannot lie in arrays of registers.
#define HWY_DISABLED_TARGETS                                               \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | \
   HWY_SVE2_128 | HWY_RVV)

#endif  // KODISTIL_BASE_SIMD_TARGETS_H_
