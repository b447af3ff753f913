// BERT and ELECTRA as they are usually run: rows padded to the longest of the
// batch, one operation of LibTorch after the other. What TransformerNetwork is
// measured against.

#ifndef KODISTIL_TEACHER_SERVICE_PADDED_ENCODER_H_
#define KODISTIL_TEACHER_SERVICE_PADDED_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "teacher_service/token_network.h"
#include "teacher_service/transformer_network.h"

namespace kodistil {

// Borrows the parameters of `network`, one for training. INVALID_ARGUMENT for
// another architecture.
absl::StatusOr<std::unique_ptr<TokenNetwork>> NewPaddedEncoder(
    const TransformerNetwork& network);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_PADDED_ENCODER_H_
