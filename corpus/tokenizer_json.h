// Reads Hugging Face's tokenizer.json.

#ifndef KODISTIL_CORPUS_TOKENIZER_JSON_H_
#define KODISTIL_CORPUS_TOKENIZER_JSON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/json_reader.h"
#include "corpus/pre_tokenizer.h"
#include "corpus/text_normalizer.h"
#include "corpus/tokenizer.h"
#include "corpus/tokenizer_settings.h"

namespace kodistil {

// The tokenizer that `json` describes, with the changes that the class of
// `settings` makes when it loads one: a BertTokenizer's do_lower_case,
// strip_accents and tokenize_chinese_chars replace those of a "BertNormalizer",
// a GPT2Tokenizer's or RobertaTokenizer's add_prefix_space that of a
// "ByteLevel". `morphemes`, if not null, splits words before the pre_tokenizer
// does; the model must be WordPiece then.
//
// Models: WordPiece, BPE, Unigram. Everything that is not supported is
// INVALID_ARGUMENT naming `source`, the path in it, and the value; DATA_LOSS
// when it is not JSON.
absl::StatusOr<std::unique_ptr<Tokenizer>> ParseTokenizerJson(
    absl::string_view json, const std::string& source,
    const TokenizerSettings& settings, std::unique_ptr<PreTokenizer> morphemes);

// A "normalizer" or "pre_tokenizer"; null when `node` is null, and after a
// fault, which the file of `node` keeps.
std::unique_ptr<TextNormalizer> ParseNormalizer(
    const JsonNode& node, const TokenizerSettings& settings);
std::unique_ptr<PreTokenizer> ParsePreTokenizer(
    const JsonNode& node, const TokenizerSettings& settings);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKENIZER_JSON_H_
