// Words of a text as BERT's normaliser and pre-tokenizer make them: what
// WordPiece then cuts into pieces, and what a vocabulary is trained on.

#ifndef KODISTIL_CORPUS_WORD_SPLITTER_H_
#define KODISTIL_CORPUS_WORD_SPLITTER_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "corpus/unicode.h"

namespace kodistil {

struct WordPieceOptions {
  bool lower_case = true;
  // Drops combining accents (NFD, category Mn) as BertTokenizer does when it
  // lower-cases; the seed and KoELECTRA keep them.
  bool strip_accents = false;
  // Puts spaces around CJK ideographs.
  bool tokenize_chinese_chars = true;
  // The rules of the Python ("slow") tokenizer where they differ from the Rust
  // one: NFC first, another CJK range, unassigned code points dropped, the odd
  // piece of longest-first truncation.
  bool slow = false;
  // "[MASK]" and the like in a text are those pieces, as both of Hugging Face's
  // tokenizers have it; false makes them ordinary text.
  bool special_literals = true;
  // Words of more code points become [UNK]; at least 1.
  int max_word_chars = 100;

  absl::Status Validate() const;
};

// Thread-safe.
class WordSplitter {
 public:
  // `word` (UTF-8, not empty) is valid during the call; the result says whether
  // to go on.
  using Visitor =
      absl::FunctionRef<bool(absl::string_view word, int code_points)>;

  explicit WordSplitter(const WordPieceOptions& options);

  // Calls `visit` for each word of `text` in order.
  void ForEachWord(absl::string_view text, Visitor visit) const;

 private:
  // Whether a normalisation form may change the words of `text`.
  bool MayNormalise(absl::string_view text) const;
  // The words of a text that normalisation leaves alone, in one pass.
  void SplitAsItIs(absl::string_view text, Visitor visit) const;
  // Cleaned, CJK spaced, lower-cased; returns the flags that occur.
  uint8_t Clean(absl::string_view text, std::u32string* out) const;
  void Split(const std::u32string& text, Visitor visit) const;

  const WordPieceOptions options_;
  const uint8_t handled_flags_;  // of characters that are not just copied
  const CharTable& table_;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_WORD_SPLITTER_H_
