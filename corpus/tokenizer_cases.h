// Compares the tokenizer with a file of cases that Hugging Face's tokenizers
// answered.

#ifndef KODISTIL_CORPUS_TOKENIZER_CASES_H_
#define KODISTIL_CORPUS_TOKENIZER_CASES_H_

#include <cstdint>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/tokenizer.h"
#include "corpus/word_splitter.h"

namespace kodistil {

// One list of ids that HF gives for a text.
struct TokenizerCase {
  std::string label;  // or "case N"
  std::string text;
  int max_length = 0;  // 0: no truncation
  std::vector<int32_t> ids;
};

// The file is a JSON object of `settings` (vocab, vocab_sha256, do_lower_case,
// strip_accents, tokenize_chinese_chars, max_input_chars_per_word, tokenizer)
// and `cases` (label, text, ids and, truncated to 32, ids_32). A file whose
// `tokenizer` names the slow one is answered in slow mode, which applies NFC
// (so `ids`, not `ids_no_nfc`), and special tokens' literals are recognised (so
// not `ids_special_as_text`).
struct TokenizerCases {
  WordPieceOptions options;
  std::string vocab;         // path as the file has it; may be empty
  std::string vocab_sha256;  // may be empty
  std::vector<TokenizerCase> cases;
};

struct TokenizerDifference {
  TokenizerCase expected;
  std::vector<int32_t> found;

  // Two indented lines under a title: label, text, both lists of ids.
  std::string ToString() const;
};

// INVALID_ARGUMENT names `source` and the case that is not as described above.
absl::StatusOr<TokenizerCases> ParseTokenizerCases(absl::string_view json,
                                                   const std::string& source);

// The cases that the tokenizer with `vocab` (the vocabulary file's content) and
// `options` answers otherwise. FAILED_PRECONDITION when the vocabulary is
// another one than the file's; errors of WordPieceTokenizer::Create.
absl::StatusOr<std::vector<TokenizerDifference>> CompareTokenizer(
    const TokenizerCases& cases, absl::string_view vocab,
    const std::string& vocab_source, const WordPieceOptions& options);

// Prints the differences and how many there are. DATA_LOSS naming `source` when
// there are any.
absl::Status ReportDifferences(
    const std::vector<TokenizerDifference>& differences,
    const TokenizerCases& cases, const std::string& source, std::ostream* out);

// Prints the ids of each line. INVALID_ARGUMENT for a limit that is too small
// for the special tokens.
absl::Status EncodeLines(const Tokenizer& tokenizer, int max_length,
                         std::istream* lines, std::ostream* out);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKENIZER_CASES_H_
