// The special and added tokens of a folder without tokenizer.json.

#ifndef KODISTIL_CORPUS_SPECIAL_TOKENS_H_
#define KODISTIL_CORPUS_SPECIAL_TOKENS_H_

#include <string>

#include "absl/status/status.h"
#include "corpus/json_reader.h"
#include "corpus/piece_model.h"
#include "corpus/pipeline_tokenizer.h"
#include "corpus/tokenizer_settings.h"

namespace kodistil {

// Ids are below it.
inline constexpr int32_t kMostTokenIds = 1 << 24;

// An object of pieces to ids; `*vocab_size` becomes one more than the largest.
// A fault is kept by the file of `node`.
PieceIds ParsePieceIds(const JsonNode& node, int* vocab_size);

// Sets special_ids, added_tokens and vocab_size (which holds the model's) from
// what `settings` has: special tokens by name, and added tokens by id.
// INVALID_ARGUMENT names `source` and a special token that a file names but
// that is no piece, or an added token that is another piece's.
absl::Status AddSpecialTokens(const TokenizerSettings& settings,
                              const std::string& source, TokenizerParts* parts);

// Sets special_ids alone, by the pieces and the added tokens of `parts`.
absl::Status SetSpecialIds(const TokenizerSettings& settings,
                           const std::string& source, TokenizerParts* parts);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SPECIAL_TOKENS_H_
