#include "corpus/word_splitter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kodistil {

absl::Status WordPieceOptions::Validate() const {
  if (max_word_chars < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_word_chars is ", max_word_chars, ", expected 1 or more"));
  }
  return absl::OkStatus();
}

WordSplitter::WordSplitter(const WordPieceOptions& options)
    : options_(options),
      table_(CharTable::Get(options.slow ? UnicodeRules::kSlow
                                         : UnicodeRules::kFast)) {}

void WordSplitter::ForEachWord(absl::string_view text, Visitor visit) const {
  std::u32string clean;
  clean.reserve(text.size());
  const uint8_t seen = Clean(text, &clean);
  if (options_.slow && (seen & kCharMaybeNotNfc) != 0) clean = ToNfc(clean);
  if (options_.strip_accents &&
      (seen & (kCharMaybeNotNfd | kCharNonspacing)) != 0) {
    clean = ToNfd(clean);
    clean.erase(std::remove_if(clean.begin(), clean.end(),
                               [this](char32_t c) {
                                 return (table_.Flags(c) & kCharNonspacing) !=
                                        0;
                               }),
                clean.end());
  }
  Split(clean, visit);
}

// Lower-casing here rather than after NFD gives the same words: apart from
// accents, which are stripped then, the two commute.
uint8_t WordSplitter::Clean(absl::string_view text, std::u32string* out) const {
  uint8_t seen = 0;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    const uint8_t flags = table_.Flags(c);
    if ((flags & kCharDropped) != 0) continue;
    if ((flags & kCharSpace) != 0) {
      out->push_back(' ');
    } else if ((flags & kCharCjk) != 0 && options_.tokenize_chinese_chars) {
      out->append({' ', c, ' '});
      seen |= flags;
    } else if ((flags & kCharHasLower) != 0 && options_.lower_case) {
      const size_t start = out->size();
      AppendLowerCase(c, out);
      for (size_t i = start; i < out->size(); ++i) {
        seen |= table_.Flags((*out)[i]);
      }
    } else {
      out->push_back(c);
      seen |= flags;
    }
  }
  return seen;
}

void WordSplitter::Split(const std::u32string& text, Visitor visit) const {
  std::string word;
  int code_points = 0;
  const auto flush = [&] {
    const bool go_on = code_points == 0 || visit(word, code_points);
    word.clear();
    code_points = 0;
    return go_on;
  };
  for (const char32_t c : text) {
    const bool punctuation = (table_.Flags(c) & kCharPunctuation) != 0;
    if ((c == ' ' || punctuation) && !flush()) return;
    if (c == ' ') continue;
    AppendUtf8(c, &word);
    ++code_points;
    if (punctuation && !flush()) return;
  }
  flush();
}

}  // namespace kodistil
