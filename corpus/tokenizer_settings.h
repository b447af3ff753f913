// What the small JSON files of a Hugging Face folder say about its tokenizer:
// tokenizer_config.json, special_tokens_map.json, added_tokens.json, and the
// class and model type in config.json.

#ifndef KODISTIL_CORPUS_TOKENIZER_SETTINGS_H_
#define KODISTIL_CORPUS_TOKENIZER_SETTINGS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "corpus/added_tokens.h"
#include "corpus/tokenizer.h"

namespace kodistil {

// What a tokenizer class of Hugging Face stands for: the special tokens, where
// they go, and what the class changes in a tokenizer.json.
enum class TokenizerFamily {
  kBert,     // BertTokenizer, ElectraTokenizer, DistilBertTokenizer
  kRoberta,  // RobertaTokenizer, BartTokenizer
  kGpt2,     // GPT2Tokenizer
  kT5,       // T5Tokenizer, MT5Tokenizer
  kXlnet,    // XLNetTokenizer
  kKoBert,   // KoBertTokenizer, KoBERTTokenizer
  kOther,    // PreTrainedTokenizerFast, BigBirdTokenizer: the file decides
};

// "BertTokenizer" and so on.
const char* NameOf(TokenizerFamily family);

// The fields of a SpecialTokenIds by Hugging Face's names: "pad_token" ...
struct SpecialTokenField {
  const char* name;
  int32_t SpecialTokenIds::*id;
};
const std::vector<SpecialTokenField>& SpecialTokenFields();

struct TokenizerSettings {
  TokenizerFamily family = TokenizerFamily::kOther;
  // Where the folder names the class: "FILE: tokenizer_class NAME". Empty when
  // the family follows from the model type, or is unknown.
  std::string named_by;
  std::string model_type;  // of config.json; may be empty

  // As tokenizer_config.json has them; null counts as absent.
  std::optional<bool> do_lower_case;
  std::optional<bool> strip_accents;
  std::optional<bool> tokenize_chinese_chars;
  std::optional<bool> add_prefix_space;
  std::optional<bool> keep_accents;
  std::optional<bool> remove_space;
  int64_t extra_ids = 100;  // of T5
  // Tokens a row; 0 when the file gives no limit.
  int64_t model_max_length = 0;

  // The special tokens that a file names, by Hugging Face's names; no ids yet.
  std::map<std::string, AddedToken> special_tokens;
  // With ids: those of added_tokens.json and added_tokens_decoder.
  std::vector<AddedToken> added_tokens;

  // The content of a special token: what a file says, else the family's own,
  // which is empty when there is none.
  std::string SpecialToken(const std::string& name) const;
  // Everything above that may decide ids, as one text: the same text gives the
  // same ids from the same vocabulary.
  std::string Identity() const;
};

// Absent files are as good as empty ones. INVALID_ARGUMENT or DATA_LOSS names
// the file, the field, what was found and what was expected.
absl::StatusOr<TokenizerSettings> ReadTokenizerSettings(
    const std::string& folder);

// A whole file of a tokenizer. INVALID_ARGUMENT when it is larger than 64 MiB,
// or errors of ReadFile.
absl::StatusOr<std::string> ReadTokenizerFile(const std::string& path);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKENIZER_SETTINGS_H_
