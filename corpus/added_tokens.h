// Tokens that a tokenizer knows besides its model: they are found in a text
// before it is split, so that none of them is ever cut into pieces.

#ifndef KODISTIL_CORPUS_ADDED_TOKENS_H_
#define KODISTIL_CORPUS_ADDED_TOKENS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "corpus/piece_trie.h"

namespace kodistil {

// "AddedToken" of Hugging Face.
struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool single_word = false;  // not where it is a part of a word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // found in the normalised text
  bool special = false;
};

// Immutable, so thread-safe.
class AddedTokens {
 public:
  // Nothing is found.
  AddedTokens() = default;
  // Finds `tokens`, whose contents are not empty; of two with the same content
  // the first. The fields `normalized` and `special` play no part.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Gets a token's id, or a part of the text between tokens with id -1.
  using Visitor = absl::FunctionRef<void(int32_t id, absl::string_view part)>;

  // Calls `visit` for the tokens and the parts between them, in order: at each
  // place the longest token, from the left.
  void Split(absl::string_view text, Visitor visit) const;

 private:
  std::vector<AddedToken> tokens_;
  PieceTrie contents_;              // to places in tokens_
  std::array<bool, 256> begins_{};  // bytes that a token begins with
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_ADDED_TOKENS_H_
