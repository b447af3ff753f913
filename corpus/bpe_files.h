// GPT-2's pair of files, vocab.json and merges.txt: byte-level byte-pair
// encoding, which RoBERTa and BART use too.

#ifndef KODISTIL_CORPUS_BPE_FILES_H_
#define KODISTIL_CORPUS_BPE_FILES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "corpus/tokenizer.h"
#include "corpus/tokenizer_settings.h"

namespace kodistil {

struct BpeFiles {
  std::string vocab;  // content of vocab.json
  std::string vocab_path;
  std::string merges;  // content of merges.txt
  std::string merges_path;
};

// Of the family of `settings`: kGpt2 adds no special tokens, kRoberta
// <s> a </s></s> b </s>. INVALID_ARGUMENT or DATA_LOSS names the file and the
// entry or line that is not as it must be, or the special token that is no
// piece.
absl::StatusOr<std::unique_ptr<Tokenizer>> NewBpeFilesTokenizer(
    const BpeFiles& files, const TokenizerSettings& settings);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_BPE_FILES_H_
