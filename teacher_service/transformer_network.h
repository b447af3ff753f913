// Transformers for sequence classification by Hugging Face's conventions,
// computed without padding: the tokens of all rows of a batch lie one after
// the other in [tokens, hidden], and attention stays within a row. Names
// LibTorch's tensor without including LibTorch.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_NETWORK_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_NETWORK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "teacher_service/dropout_state.h"
#include "teacher_service/token_network.h"
#include "teacher_service/transformer_config.h"

namespace at {
class Tensor;
}  // namespace at

namespace kodistil {

// Not thread-safe. Logits and TokenStates throw as LibTorch does when it fails
// (out of memory, say): call them under CatchTorch. What they return for a bad
// batch is INVALID_ARGUMENT naming the row, as of Forward.
class TransformerNetwork : public TokenNetwork {
 public:
  virtual const TransformerConfig& config() const = 0;

  // The leaf tensors by Hugging Face's names, exactly those that its
  // model.safetensors holds; float32, contiguous. The caller sets
  // requires_grad, and may change values in place (under NoGradGuard). Empty
  // for a network that was made for inference.
  virtual const std::map<std::string, at::Tensor>& parameters() const = 0;

  // Logits [rows, classes], float32 (under autocast as LibTorch says), in the
  // order of the batch's rows. Builds an autograd graph where GradMode is on.
  // Without `dropout` there is none; with it, dropout has the configuration's
  // rates (embeddings, attention, hidden states, classifier).
  virtual absl::StatusOr<at::Tensor> Logits(const TokenBatch& batch,
                                            DropoutState* dropout) = 0;

  // The last layer's states [tokens, hidden] of all tokens, row after row in
  // the batch's order with padding left out; of an encoder-decoder, the
  // decoder's. Otherwise as Logits.
  virtual absl::StatusOr<at::Tensor> TokenStates(const TokenBatch& batch,
                                                 DropoutState* dropout) = 0;
};

// In what numbers a network for inference computes; its logits are float32.
// kAuto: float32 on CPU; on a GPU float16, or bfloat16 for T5, whose states can
// exceed float16. 16 bits need a GPU.
enum class Precision { kAuto, kFloat32, kBfloat16, kFloat16 };

// For inference: weights fused, no autograd, no parameters(). `device` as for
// ResolveTorchDevice. NOT_FOUND when a file is missing, DATA_LOSS when one is
// damaged, INVALID_ARGUMENT when config.json is not one of a known model or
// the weights do not fit it: the message names each missing, surplus and
// misshaped tensor.
absl::StatusOr<std::unique_ptr<TransformerNetwork>> LoadTransformer(
    const std::string& model_dir, const std::string& device,
    Precision precision = Precision::kAuto);

struct TrainingOptions {
  std::string device = "auto";  // as for ResolveTorchDevice
  // Classes, if other than config.json says (0: what it says). Another number
  // needs new_head.
  int64_t num_classes = 0;
  // For a folder: start from a pretrained encoder. Tensors of the classifier
  // that the file does not hold, or with another shape, are initialised at
  // random, the heads of pretraining are left out, and an encoder saved without
  // its prefix ("electra.") is accepted. Otherwise each of these is an error.
  bool new_head = false;
  uint64_t seed = 0;  // of random initialisation

  absl::Status Validate() const;
};

// For training: float32, parameters() filled, no requires_grad set. Errors as
// LoadTransformer.
absl::StatusOr<std::unique_ptr<TransformerNetwork>> LoadTransformerForTraining(
    const std::string& model_dir, const TrainingOptions& options);

// As above from a configuration alone, initialised as Hugging Face does
// (normal(0, initializer_range), biases 0, LayerNorm 1, padding rows 0; each
// architecture's own exceptions). The same seed gives the same weights.
// `source` names `config_json` in errors.
absl::StatusOr<std::unique_ptr<TransformerNetwork>> NewTransformer(
    absl::string_view config_json, const std::string& source,
    const TrainingOptions& options);

// A copy of a network that was made for training, for inference with its
// present values: as LoadTransformer would make it from the saved folder,
// without a digest.
absl::StatusOr<std::unique_ptr<TransformerNetwork>> ForInference(
    const TransformerNetwork& network, Precision precision = Precision::kAuto);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_NETWORK_H_
