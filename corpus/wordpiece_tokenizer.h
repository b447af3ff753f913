// WordPiece with Hugging Face's semantics (BertTokenizer and
// BertTokenizerFast), at the speed that training and serving want.

#ifndef KODISTIL_CORPUS_WORDPIECE_TOKENIZER_H_
#define KODISTIL_CORPUS_WORDPIECE_TOKENIZER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/tokenizer.h"
#include "corpus/word_splitter.h"

namespace kodistil {

// Thread-safe after creation. [CLS] text [SEP] second [SEP]; ill-formed UTF-8
// is dropped, as the U+FFFD that stands for it is. A pair of max_length 3 has
// the special tokens alone.
class WordPieceTokenizer : public Tokenizer {
 public:
  // `vocab`: one piece a line, the line number from 0 is the id; must hold
  // [PAD], [UNK], [CLS] and [SEP]. INVALID_ARGUMENT names `source` and the line
  // or the missing piece.
  static absl::StatusOr<std::unique_ptr<WordPieceTokenizer>> Create(
      absl::string_view vocab, const std::string& source,
      const WordPieceOptions& options);
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_WORDPIECE_TOKENIZER_H_
