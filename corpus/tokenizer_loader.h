// Loads the tokenizer of a Hugging Face folder, whatever its files are.

#ifndef KODISTIL_CORPUS_TOKENIZER_LOADER_H_
#define KODISTIL_CORPUS_TOKENIZER_LOADER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/hash.h"
#include "corpus/tokenizer.h"

namespace kodistil {

struct TokenizerOptions {
  // Folder of a MeCab dictionary, for a WordPiece vocabulary of morphemes: each
  // word is split into them first. Empty for none.
  std::string mecab_dicdir;
};

struct LoadedTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  // The file that the ids come from.
  std::string path;
  // Tokens a row that tokenizer_config.json allows; 0 when it gives no limit.
  int64_t model_max_length = 0;

  // Adds all that decides ids: another digest is another tokenizer. Of a plain
  // vocab.txt those are the vocabulary, do_lower_case, strip_accents and
  // tokenize_chinese_chars, as fields and numbers.
  void UpdateFingerprint(Sha256* hash) const;

  std::vector<std::string> identity_fields;
  std::vector<uint64_t> identity_numbers;
};

// As AutoTokenizer of Hugging Face, the fast tokenizer before the slow ones:
//  1. tokenizer.json, if there;
//  2. tokenizer_78b3253a26.model, if there: KoBERT, with vocab.txt for the ids;
//  3. the files of the class that tokenizer_config.json (or config.json) names:
//     BERT's vocab.txt, GPT-2's, RoBERTa's and BART's vocab.json and
//     merges.txt, T5's, XLNet's and KoBERT's spiece.model;
//  4. where no class is named, the first that is there of spiece.model,
//     vocab.json with merges.txt, and vocab.txt; the model type in config.json
//     then tells T5 from XLNet and RoBERTa from GPT-2.
// docs/tokenizers.md has the details.
//
// NOT_FOUND names the files that were looked for; INVALID_ARGUMENT and
// DATA_LOSS name the file and the place in it that is not as it must be, or not
// supported; FAILED_PRECONDITION when the SentencePiece library cannot be
// loaded.
absl::StatusOr<LoadedTokenizer> LoadTokenizer(const std::string& folder,
                                              const TokenizerOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKENIZER_LOADER_H_
