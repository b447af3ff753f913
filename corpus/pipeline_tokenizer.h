// A tokenizer put together from parts, as Hugging Face's fast tokenizers are:
// added tokens, normalizer, pre-tokenizer, model, special tokens.

#ifndef KODISTIL_CORPUS_PIPELINE_TOKENIZER_H_
#define KODISTIL_CORPUS_PIPELINE_TOKENIZER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "corpus/added_tokens.h"
#include "corpus/piece_model.h"
#include "corpus/pre_tokenizer.h"
#include "corpus/text_normalizer.h"
#include "corpus/token_layout.h"
#include "corpus/tokenizer.h"

namespace kodistil {

struct TokenizerParts {
  std::unique_ptr<TextNormalizer> normalizer;   // may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  // may be null
  std::unique_ptr<PieceModel> model;
  // In any order; those that are `normalized` are found in the normalised text
  // as the normalizer leaves them.
  std::vector<AddedToken> added_tokens;
  TokenLayout layout;
  SpecialTokenIds special_ids;
  // Above every id.
  int vocab_size = 0;
};

// INVALID_ARGUMENT when the normalizer leaves nothing of an added token that is
// found after it.
absl::StatusOr<std::unique_ptr<Tokenizer>> NewPipelineTokenizer(
    TokenizerParts parts);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_PIPELINE_TOKENIZER_H_
