// What config.json and tokenizer_config.json of a Hugging Face folder say about
// a Transformer encoder for sequence classification.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_CONFIG_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// model_type of the n-gram teacher's config.json.
inline constexpr char kNgramModelType[] = "kodistil_ngram";

enum class Architecture { kBert, kElectra };

// Hugging Face's names: kGelu is the exact one (erf), kGeluTanh the
// approximation ("gelu_new", "gelu_pytorch_tanh").
enum class Activation { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

struct TransformerConfig {
  Architecture architecture = Architecture::kBert;
  int64_t vocab_size = 30522;
  int64_t embedding_size = 768;  // of the embedding tables
  int64_t hidden_size = 768;
  int64_t num_layers = 12;
  int64_t num_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_positions = 512;
  int64_t type_vocab_size = 2;
  int64_t num_labels = 2;
  double layer_norm_eps = 1e-12;
  Activation activation = Activation::kGelu;
  // Of config.json; only for messages.
  std::string trained_for;

  bool has_projection() const { return embedding_size != hidden_size; }
};

// "bert" or "electra".
const char* NameOf(Architecture architecture);

// The field model_type of a config.json. DATA_LOSS when `json` is not JSON,
// INVALID_ARGUMENT when it has no model_type, or one that is not known: the
// message names `source`, what was found and what is known.
absl::StatusOr<std::string> ReadModelType(absl::string_view json,
                                          const std::string& source);

// Absent fields have Hugging Face's defaults for the model type. DATA_LOSS
// when `json` is not JSON; INVALID_ARGUMENT naming `source`, the field, what
// was found and what was expected.
absl::StatusOr<TransformerConfig> ParseTransformerConfig(
    absl::string_view json, const std::string& source);

// The name and shape of every tensor of the checkpoint.
std::map<std::string, std::vector<int64_t>> ExpectedTensors(
    const TransformerConfig& config);

struct TokenizerConfig {
  bool lower_case = true;
  bool strip_accents = true;
  bool tokenize_chinese_chars = true;
  // Tokens a row; 0 when the file gives no limit.
  int64_t max_length = 0;
};

// tokenizer_config.json of a BertTokenizer or ElectraTokenizer. Errors as
// ParseTransformerConfig.
absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(absl::string_view json,
                                                     const std::string& source);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_CONFIG_H_
