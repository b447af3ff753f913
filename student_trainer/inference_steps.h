// The arithmetic of a student's inference: vector code for the processor that
// runs it, on plain arrays. What inference_kernel.h is made of.

#ifndef KODISTIL_STUDENT_TRAINER_INFERENCE_STEPS_H_
#define KODISTIL_STUDENT_TRAINER_INFERENCE_STEPS_H_

#include <cstddef>
#include <cstdint>

namespace kodistil {

// Hidden units lie in blocks of L, the floats of one vector; P = ceil(H / L)
// blocks, the last one filled up with zeros. A row's gates are [P][4][L], in
// PyTorch's order: input, forget, cell, output. Arrays are aligned to a vector.
// A row's result does not depend on the rows beside it, bit by bit.

// L of this processor: 16 with AVX-512, 8 with AVX2, 4 otherwise.
size_t InferenceLanes();

// Whether this processor has AVX-512's VNNI, which multiplies 8 bits and adds
// at once: the same sums in far fewer instructions.
bool HasVnni();

// A state, -1 to 1, in 8 bits: round(h * kStateScale) + kStateZero.
inline constexpr int kStateScale = 127;
inline constexpr int kStateZero = 128;

// gates += weights * x, in float32.
struct FloatSums {
  size_t rows = 0;
  size_t blocks = 0;               // P
  size_t depth = 0;                // K
  const float* weights = nullptr;  // [P][K][4][L]
  const float* x = nullptr;        // [rows, K], rows every x_stride
  size_t x_stride = 0;
  float* gates = nullptr;  // [rows][P][4][L]
};
void RunFloatSums(const FloatSums& sums);

// gates += scales * (weights * x - offsets), the product in integers: x are
// states in 8 bits, whose zero the offsets take away.
struct Int8Sums {
  size_t rows = 0;
  size_t blocks = 0;                 // P
  size_t depth = 0;                  // K, a multiple of 4
  const int8_t* weights = nullptr;   // [P][K / 4][4][L][4]
  const float* scales = nullptr;     // [P][4][L]
  const int32_t* offsets = nullptr;  // [P][4][L]
  const uint8_t* x = nullptr;        // [rows, K], rows every x_stride
  size_t x_stride = 0;
  float* gates = nullptr;  // [rows][P][4][L]
  bool vnni = false;       // only where HasVnni
};
void RunInt8Sums(const Int8Sums& sums);

// One step of a layer's direction: the gates of each row's token, which lie in
// a table, plus the product of the recurrent weights with the states of the
// step before; then the cells. Nothing of it goes through memory but states.
struct RecurrentStep {
  size_t rows = 0;
  size_t blocks = 0;  // P
  // [entries][P][4][L]; one of the two, and float32 without int8s.
  const float* table = nullptr;
  const uint16_t* table_halves = nullptr;  // IEEE half precision
  const uint32_t* entries = nullptr;       // [rows], which one is a row's
  // The product; 0 for none. A multiple of 4 for int8s.
  size_t depth = 0;  // K
  // In float32.
  const float* weights = nullptr;  // [P][K][4][L]
  const float* x = nullptr;        // [rows][P][L]
  float* next_x = nullptr;         // [rows][P][L] out: h
  // In integers, as Int8Sums has them.
  const int8_t* int8s = nullptr;     // [P][K / 4][4][L][4]
  const float* scales = nullptr;     // [P][4][L]
  const int32_t* offsets = nullptr;  // [P][4][L]
  const uint8_t* rounded = nullptr;  // [rows][P][L]
  uint8_t* next_rounded = nullptr;   // [rows][P][L] out: h
  bool vnni = false;                 // only where HasVnni
  float* c = nullptr;                // [rows][P][L] in and out
  float* h = nullptr;                // [rows][P][L] out
};
void RunStep(const RecurrentStep& step);

// IEEE half precision; `count` is a multiple of L. What is too large becomes
// the largest one.
void FloatsToHalves(const float* in, size_t count, uint16_t* out);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_INFERENCE_STEPS_H_
