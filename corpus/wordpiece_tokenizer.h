// WordPiece with Hugging Face's semantics (BertTokenizer and
// BertTokenizerFast).

#ifndef KODISTIL_CORPUS_WORDPIECE_TOKENIZER_H_
#define KODISTIL_CORPUS_WORDPIECE_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/word_splitter.h"

namespace kodistil {

// Thread-safe after creation.
class WordPieceTokenizer {
 public:
  virtual ~WordPieceTokenizer() = default;

  // `vocab`: one piece a line, the line number from 0 is the id; must hold
  // [PAD], [UNK], [CLS] and [SEP]. INVALID_ARGUMENT names `source` and the line
  // or the missing piece.
  static absl::StatusOr<std::unique_ptr<WordPieceTokenizer>> Create(
      absl::string_view vocab, const std::string& source,
      const WordPieceOptions& options);

  // Ids of [CLS] text [SEP], cut to the first max_length - 1 and [SEP]
  // (max_length >= 2; 0 for no limit). Ill-formed UTF-8 is dropped, as the
  // U+FFFD that stands for it is.
  std::vector<int32_t> Encode(absl::string_view text, int max_length) const {
    std::vector<int32_t> ids;
    EncodeTo(text, max_length, &ids);
    return ids;
  }
  // As Encode, in the memory that `*ids` has: it allocates only to grow.
  virtual void EncodeTo(absl::string_view text, int max_length,
                        std::vector<int32_t>* ids) const = 0;
  // Ids of [CLS] text [SEP] second [SEP], cut longest first (max_length >= 3; 0
  // for no limit), and token types (0 for the first, 1 for the second).
  // `type_ids` may be null.
  virtual std::vector<int32_t> EncodePair(
      absl::string_view text, absl::string_view second, int max_length,
      std::vector<int32_t>* type_ids) const = 0;

  virtual int vocab_size() const = 0;
  virtual int32_t pad_id() const = 0;
  virtual int32_t unk_id() const = 0;
  virtual int32_t cls_id() const = 0;
  virtual int32_t sep_id() const = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_WORDPIECE_TOKENIZER_H_
