// A network from token ids to logits, whatever library runs it.

#ifndef KODISTIL_TEACHER_SERVICE_TOKEN_NETWORK_H_
#define KODISTIL_TEACHER_SERVICE_TOKEN_NETWORK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kodistil {

// Rows padded to one length, each array row-major [rows, columns].
struct TokenBatch {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<int64_t> ids;
  std::vector<int64_t> mask;      // 1 for a token, 0 for padding
  std::vector<int64_t> type_ids;  // of padding: 0
  // Where Hugging Face's logits of a row depend on padding behind it: XLNet
  // pools the last column even if it is padding, BigBird's sparse attention
  // reads a batch's last block. The tokens of padding [rows] to compute a row
  // with; empty for none, which gives the logits of a row by itself.
  std::vector<int64_t> trailing_padding;
};

// What a network can take.
struct TokenNetworkInfo {
  std::string model_type;  // "bert", "electra", "torchscript"
  std::string device;      // "cpu", "cuda:0"
  // SHA-256 of the weights file in hexadecimal.
  std::string weights_digest;
  int64_t num_classes = 0;
  uint64_t parameters = 0;
  // 0 where the file does not tell.
  int64_t vocab_size = 0;
  int64_t type_vocab_size = 0;
  int64_t max_positions = 0;
};

// Not thread-safe.
class TokenNetwork {
 public:
  virtual ~TokenNetwork() = default;

  virtual const TokenNetworkInfo& info() const = 0;
  // Logits [rows, num_classes], float32, row-major. Padding does not change a
  // row's logits. INVALID_ARGUMENT for ids outside the tables, too many
  // columns, or a row without a token.
  virtual absl::StatusOr<std::vector<float>> Forward(
      const TokenBatch& batch) = 0;
};

// INVALID_ARGUMENT naming the row and the value that a network with `info`
// cannot take. (CUDA would end the process.)
absl::Status CheckBatch(const TokenNetworkInfo& info, const TokenBatch& batch);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TOKEN_NETWORK_H_
