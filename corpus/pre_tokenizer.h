// How a tokenizer splits a normalised text into words, each of which its model
// then cuts into pieces: the pre_tokenizers of Hugging Face's tokenizer.json.

#ifndef KODISTIL_CORPUS_PRE_TOKENIZER_H_
#define KODISTIL_CORPUS_PRE_TOKENIZER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace kodistil {

struct PreToken {
  std::string text;  // UTF-8, not empty
  // Whether it begins where the whole text begins.
  bool at_start = false;
};

// Immutable, so thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  // Splits each word further. Empty words are dropped.
  virtual void Apply(std::vector<PreToken>* words) const = 0;
};

// What becomes of the separators found in a word ("SplitDelimiterBehavior").
enum class SeparatorBehavior {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

// A part of a text, all of which the parts cover in order.
struct TextPart {
  size_t begin;
  size_t end;
  bool is_separator;
};

// Finds the separators in a text.
class SeparatorFinder {
 public:
  virtual ~SeparatorFinder() = default;
  virtual std::vector<TextPart> Find(absl::string_view text) const = 0;
};

// Characters that `matches`, each a separator.
std::unique_ptr<SeparatorFinder> NewCharacterFinder(bool (*matches)(char32_t));
// Runs of characters that `matches`.
std::unique_ptr<SeparatorFinder> NewRunFinder(bool (*matches)(char32_t));
// A literal text; an empty one is never found.
std::unique_ptr<SeparatorFinder> NewLiteralFinder(std::string literal);
// The pattern of GPT-2, which matches everywhere (kGpt2Pattern).
std::unique_ptr<SeparatorFinder> NewGpt2Finder();
extern const char kGpt2Pattern[];

// `invert`: what is not a separator is one, and the other way round.
std::unique_ptr<PreTokenizer> NewSplitPreTokenizer(
    std::unique_ptr<SeparatorFinder> finder, SeparatorBehavior behavior,
    bool invert);
// "BertPreTokenizer": white space separates, punctuation stands alone.
std::unique_ptr<PreTokenizer> NewBertPreTokenizer();
// "Whitespace": \w+|[^\w\s]+.
std::unique_ptr<PreTokenizer> NewWordPreTokenizer();
// "Punctuation".
std::unique_ptr<PreTokenizer> NewPunctuationPreTokenizer(
    SeparatorBehavior behavior);

enum class PrependScheme { kAlways, kFirst, kNever };

// "Metaspace": spaces become `replacement`, which also comes before the text,
// and each begins a word if `split`.
std::unique_ptr<PreTokenizer> NewMetaspacePreTokenizer(std::string replacement,
                                                       PrependScheme scheme,
                                                       bool split);
// "ByteLevel": GPT-2's split if `use_regex`, and a character for each byte.
std::unique_ptr<PreTokenizer> NewByteLevelPreTokenizer(bool add_prefix_space,
                                                       bool use_regex);
std::unique_ptr<PreTokenizer> NewPreTokenizerSequence(
    std::vector<std::unique_ptr<PreTokenizer>> parts);

// The characters of ByteLevel for the bytes of `text` (bytes_to_unicode of
// GPT-2's encoder.py).
std::string ToByteLevel(absl::string_view text);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_PRE_TOKENIZER_H_
