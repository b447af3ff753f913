// What a tokenizer does to a text before it splits it: the normalizers of
// Hugging Face's tokenizer.json.

#ifndef KODISTIL_CORPUS_TEXT_NORMALIZER_H_
#define KODISTIL_CORPUS_TEXT_NORMALIZER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/charsmap.h"
#include "corpus/unicode.h"

namespace kodistil {

// Immutable, so thread-safe.
class TextNormalizer {
 public:
  virtual ~TextNormalizer() = default;

  // Changes well-formed UTF-8 into such. Sets `*head_lost` when the first
  // character of the text leaves nothing behind (what "prepend_scheme": "first"
  // asks for).
  virtual void Apply(std::string* text, bool* head_lost) const = 0;
};

// The options of "BertNormalizer".
struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};

std::unique_ptr<TextNormalizer> NewBertNormalizer(
    const BertNormalizerOptions& options);
std::unique_ptr<TextNormalizer> NewFormNormalizer(NormalForm form);
std::unique_ptr<TextNormalizer> NewLowercaseNormalizer();
std::unique_ptr<TextNormalizer> NewStripAccentsNormalizer();
// Drops white space at the ends.
std::unique_ptr<TextNormalizer> NewStripNormalizer(bool left, bool right);
// `text` before every text that is not empty.
std::unique_ptr<TextNormalizer> NewPrependNormalizer(std::string text);
// `content` for every `pattern` (not empty).
std::unique_ptr<TextNormalizer> NewReplaceNormalizer(std::string pattern,
                                                     std::string content);
// `content` for every run of `least` or more of the characters that `matches`.
std::unique_ptr<TextNormalizer> NewReplaceRunsNormalizer(
    bool (*matches)(char32_t), int least, std::string content);
std::unique_ptr<TextNormalizer> NewCharsmapNormalizer(Charsmap charsmap);
// One after another; nothing when there is none.
std::unique_ptr<TextNormalizer> NewNormalizerSequence(
    std::vector<std::unique_ptr<TextNormalizer>> parts);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TEXT_NORMALIZER_H_
