// ELECTRA and BERT encoders for sequence classification, from a Hugging Face
// folder (config.json and weights).

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// `device` as for ResolveTorchDevice. NOT_FOUND when a file is missing,
// DATA_LOSS when one is damaged, INVALID_ARGUMENT when config.json is not one
// of a known model or the weights do not fit it: the message names each
// missing, surplus and misshaped tensor.
absl::StatusOr<std::unique_ptr<TokenNetwork>> LoadTransformer(
    const std::string& model_dir, const std::string& device);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_MODEL_H_
