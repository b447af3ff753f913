// What config.json and tokenizer_config.json of a Hugging Face folder say about
// a Transformer for sequence classification.

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

enum class Architecture {
  kBert,
  kElectra,
  kRoberta,
  kBigBird,
  kDistilBert,
  kGpt2,
  kBart,
  kXlnet,
  kT5
};

// Hugging Face's names: kGelu is the exact one (erf), kGeluTanh the
// approximation ("gelu_new", "gelu_pytorch_tanh").
enum class Activation { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

// One for all architectures; what one of them does not have keeps its default.
struct TransformerConfig {
  Architecture architecture = Architecture::kBert;
  int64_t vocab_size = 30522;
  int64_t embedding_size = 768;  // of the embedding tables
  int64_t hidden_size = 768;
  int64_t num_layers = 12;  // of the encoder, where there is a decoder too
  int64_t num_heads = 12;
  int64_t head_size = 64;
  int64_t intermediate_size = 3072;
  int64_t num_decoder_layers = 0;
  int64_t num_decoder_heads = 0;
  int64_t decoder_intermediate_size = 0;
  int64_t max_positions = 512;  // tokens of a row; 0 without a limit
  int64_t position_offset = 0;  // the table's rows before position 0
  int64_t type_vocab_size = 2;
  int64_t num_labels = 2;
  int64_t pad_token_id = 0;   // -1: none
  int64_t eos_token_id = -1;  // of BART and T5, which pool it
  int64_t decoder_start_token_id = -1;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;
  Activation activation = Activation::kGelu;
  bool gated = false;             // T5: activation(wi_0 x) * wi_1 x
  bool scale_embeddings = false;  // by the root of hidden_size
  bool attention_bias = true;     // BigBird: of queries, keys and values
  bool scale_attention = true;    // GPT-2: by the root of head_size
  bool scale_by_layer = false;    // GPT-2: and by the layer's number
  // BigBird; 0 is full attention.
  int64_t block_size = 0;
  int64_t num_random_blocks = 0;
  int64_t clamp_length = -1;  // XLNet: of distances; -1 without
  // T5.
  int64_t relative_buckets = 32;
  int64_t relative_max_distance = 128;
  // Rates of dropout; a negative one of the classifier is hidden_dropout.
  double embedding_dropout = 0.1;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  double activation_dropout = 0;
  double classifier_dropout = -1;
  // Of config.json; only for messages.
  std::string trained_for;

  bool has_projection() const { return embedding_size != hidden_size; }
  bool is_encoder_decoder() const { return num_decoder_layers > 0; }
};

// A tensor of a checkpoint.
struct TensorSpec {
  enum class Fill { kNormal, kZeros, kOnes };

  std::vector<int64_t> shape;
  // How a new one is initialised.
  Fill fill = Fill::kNormal;
  double stddev = 0;
  int64_t zero_row = -1;  // of an embedding: the padding's; -1: none
  // Of the classifier, which a pretrained encoder comes without.
  bool is_head = false;
};

// "bert", "electra", ...: Hugging Face's model_type.
const char* NameOf(Architecture architecture);

// The field model_type of a config.json. DATA_LOSS when `json` is not JSON,
// INVALID_ARGUMENT when it has no model_type, or one that is not known: the
// message names `source`, what was found and what is known.
absl::StatusOr<std::string> ReadModelType(absl::string_view json,
                                          const std::string& source);

// Absent fields have Hugging Face's defaults for the model type. DATA_LOSS
// when `json` is not JSON; INVALID_ARGUMENT naming `source` and each field that
// is not allowed or not known, what was found and what was expected.
absl::StatusOr<TransformerConfig> ParseTransformerConfig(
    absl::string_view json, const std::string& source);

// Every tensor of the checkpoint, by name.
std::map<std::string, TensorSpec> TensorSpecs(const TransformerConfig& config);

// The name and shape of every tensor of the checkpoint.
std::map<std::string, std::vector<int64_t>> ExpectedTensors(
    const TransformerConfig& config);

// The name of the word embedding's table [vocab_size, embedding_size].
std::string WordEmbeddingsName(const TransformerConfig& config);

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
