// Whether a checkpoint's tensors are those that a configuration stands for.

#ifndef KODISTIL_TEACHER_SERVICE_WEIGHTS_FIT_H_
#define KODISTIL_TEACHER_SERVICE_WEIGHTS_FIT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "teacher_service/transformer_config.h"
#include "teacher_service/weights.h"

namespace kodistil {

// The tensors of `weights` by the names of TensorSpecs(config). Names that tied
// parameters have besides their own (the embeddings of BART and T5) are left
// out if their values are the same.
//
// With `new_head`, tensors of the classifier may be missing or have another
// shape, and are then left out of the result; heads of pretraining are left
// out too, and names may lack the prefix of the encoder. Otherwise, and for all
// other tensors, INVALID_ARGUMENT names each that is missing, surplus,
// misshaped, or tied with other values.
absl::StatusOr<std::map<std::string, TensorView>> FitWeights(
    const TransformerConfig& config, const Weights& weights, bool new_head);

// As above, of tensors from elsewhere; `path` names them in errors.
absl::StatusOr<std::map<std::string, TensorView>> FitTensors(
    const TransformerConfig& config,
    const std::map<std::string, TensorView>& tensors, const std::string& path,
    bool new_head);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_WEIGHTS_FIT_H_
