// From a text, or a pair of texts, to the token ids that a network reads.

#ifndef KODISTIL_CORPUS_TOKENIZER_H_
#define KODISTIL_CORPUS_TOKENIZER_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace kodistil {

// Ids of the special tokens; -1 where the tokenizer has none.
struct SpecialTokenIds {
  int32_t pad = -1;
  int32_t unk = -1;
  int32_t cls = -1;
  int32_t sep = -1;
  int32_t bos = -1;
  int32_t eos = -1;
  int32_t mask = -1;
};

// Thread-safe after creation. Texts are UTF-8; what is ill-formed in them reads
// as U+FFFD.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text` with the special tokens of one text, in the order of the
  // family: BERT [CLS] a [SEP], RoBERTa and BART <s> a </s>, T5 a </s>, XLNet
  // a <sep> <cls>, GPT-2 a. Cut to max_length ids (special_tokens(false) or
  // more; 0 for no limit): the text loses its end, never a special token.
  // `type_ids`, if there is one, gets as many token types.
  std::vector<int32_t> Encode(absl::string_view text, int max_length,
                              std::vector<int32_t>* type_ids = nullptr) const {
    std::vector<int32_t> ids;
    EncodeOne(text, max_length, &ids, type_ids);
    return ids;
  }
  // As Encode, in the memory that `*ids` has: WordPiece allocates only to grow.
  void EncodeTo(absl::string_view text, int max_length,
                std::vector<int32_t>* ids,
                std::vector<int32_t>* type_ids = nullptr) const {
    EncodeOne(text, max_length, ids, type_ids);
  }
  // Ids of both texts with the special tokens of a pair, cut longest first to
  // max_length ids (special_tokens(true) or more; 0 for no limit). `type_ids`
  // may be null.
  std::vector<int32_t> EncodePair(absl::string_view text,
                                  absl::string_view second, int max_length,
                                  std::vector<int32_t>* type_ids) const {
    return EncodeTwo(text, second, max_length, type_ids);
  }

  // Every id is below it.
  virtual int vocab_size() const = 0;
  // How many special tokens a text, or a pair, gets.
  virtual int special_tokens(bool pair) const = 0;
  virtual const SpecialTokenIds& special_ids() const = 0;

  int32_t pad_id() const { return special_ids().pad; }
  int32_t unk_id() const { return special_ids().unk; }
  int32_t cls_id() const { return special_ids().cls; }
  int32_t sep_id() const { return special_ids().sep; }
  int32_t bos_id() const { return special_ids().bos; }
  int32_t eos_id() const { return special_ids().eos; }
  int32_t mask_id() const { return special_ids().mask; }

 private:
  virtual void EncodeOne(absl::string_view text, int max_length,
                         std::vector<int32_t>* ids,
                         std::vector<int32_t>* type_ids) const = 0;
  virtual std::vector<int32_t> EncodeTwo(
      absl::string_view text, absl::string_view second, int max_length,
      std::vector<int32_t>* type_ids) const = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKENIZER_H_
