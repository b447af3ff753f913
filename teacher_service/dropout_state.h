// Names the random numbers of a training step's dropout.

#ifndef KODISTIL_TEACHER_SERVICE_DROPOUT_STATE_H_
#define KODISTIL_TEACHER_SERVICE_DROPOUT_STATE_H_

#include <cstdint>

namespace kodistil {

// The same seed and step give the same masks, whatever was drawn before. Take a
// fresh one for each call of TransformerNetwork's Logits or TokenStates (for
// each micro-batch its own `step`).
struct DropoutState {
  uint64_t seed = 0;
  uint64_t step = 0;
  // Masks drawn so far; the network counts it up.
  uint64_t draws = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_DROPOUT_STATE_H_
