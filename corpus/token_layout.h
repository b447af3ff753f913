// Where the special tokens of a text, or of a pair of texts, stand, and how
// texts are cut to fit.

#ifndef KODISTIL_CORPUS_TOKEN_LAYOUT_H_
#define KODISTIL_CORPUS_TOKEN_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kodistil {

// How many ids of two texts of `first` and `second` ids stay when both together
// may have `budget`, longest first. The two tokenizers of Hugging Face differ
// in who keeps the odd one of two long texts: Python (`slow`) cuts one id after
// another, the second text at a tie (truncate_sequences in
// tokenization_utils_base.py); Rust halves the budget and gives the longer text
// the odd one (utils/truncation.rs).
std::pair<size_t, size_t> KeepLongestFirst(size_t first, size_t second,
                                           size_t budget, bool slow);

// A value, so thread-safe to read.
struct TokenLayout {
  enum class Part { kToken, kFirst, kSecond };
  struct Item {
    Part part;
    int32_t id;    // of a token
    int32_t type;  // token type of the token, or of the whole text
  };

  std::vector<Item> single;  // has kFirst once
  std::vector<Item> pair;    // has kFirst and kSecond once
  // Of KeepLongestFirst.
  bool slow = false;
  // A special token is left out where the text before it ends with it, as the
  // slow T5 tokenizer has it.
  bool skip_repeated = false;

  // [CLS] a [SEP] b [SEP], types 0 and 1.
  static TokenLayout Bert(int32_t cls, int32_t sep);
  // <s> a </s></s> b </s>, type 0 throughout.
  static TokenLayout Roberta(int32_t cls, int32_t sep);
  // a <sep> b <sep> <cls>, types 0, 1 and of <cls> 2.
  static TokenLayout Xlnet(int32_t cls, int32_t sep);
  // a </s> b </s>, type 0 throughout.
  static TokenLayout T5(int32_t eos);
  // a b, types 0 and 1.
  static TokenLayout Plain();

  // How many special tokens there are.
  int special_tokens(bool is_pair) const;
  // `ids` holds those of the text; see Tokenizer::Encode.
  void ApplySingle(int max_length, std::vector<int32_t>* ids,
                   std::vector<int32_t>* type_ids) const;
  // See Tokenizer::EncodePair.
  std::vector<int32_t> ApplyPair(std::vector<int32_t> first,
                                 std::vector<int32_t> second, int max_length,
                                 std::vector<int32_t>* type_ids) const;

 private:
  bool IsRepeated(const Item& item, const std::vector<int32_t>& text) const;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKEN_LAYOUT_H_
