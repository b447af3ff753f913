// Tokenizers on a SentencePiece model, as the slow tokenizers of Hugging Face
// have them: KoBERT, XLNet, T5.

#ifndef KODISTIL_CORPUS_SENTENCEPIECE_TOKENIZER_H_
#define KODISTIL_CORPUS_SENTENCEPIECE_TOKENIZER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/tokenizer.h"
#include "corpus/tokenizer_settings.h"

namespace kodistil {

// `model` is a SentencePiece model's content, `source` its path for messages;
// the family of `settings` (kKoBert, kXlnet or kT5) decides the rest:
//  - KoBERT (tokenization_kobert.py): [CLS] a [SEP] b [SEP]. `vocab`, if not
//    empty, has the pieces one a line and the line number from 0 is the id
//    (`vocab_source` its path); without it the model's own ids count.
//  - XLNet (tokenization_xlnet.py): a <sep> b <sep> <cls>.
//  Both make one space of white space, quotes of `` and '', drop accents
//  (NFKD) unless keep_accents, lower-case if do_lower_case, and cut a comma off
//  a number.
//  - T5 (tokenization_t5.py): a </s> b </s>, with extra_ids tokens
//  <extra_id_0> ... that count down to the vocabulary's end.
// Errors of SentencePieceModel::Parse; FAILED_PRECONDITION when the library
// cannot be loaded; INVALID_ARGUMENT for a special token that is no piece.
absl::StatusOr<std::unique_ptr<Tokenizer>> NewSentencePieceTokenizer(
    absl::string_view model, const std::string& source, absl::string_view vocab,
    const std::string& vocab_source, const TokenizerSettings& settings);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SENTENCEPIECE_TOKENIZER_H_
