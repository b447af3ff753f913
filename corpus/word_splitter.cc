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

namespace {

// Appends `c` in lower case; returns how many code points that are.
int AppendLowerCaseUtf8(char32_t c, std::string* out) {
  if (c >= 'A' && c <= 'Z') {
    out->push_back(static_cast<char>(c + ('a' - 'A')));
    return 1;
  }
  std::u32string lower;
  AppendLowerCase(c, &lower);
  for (const char32_t l : lower) AppendUtf8(l, out);
  return static_cast<int>(lower.size());
}

uint8_t HandledFlags(const WordPieceOptions& options) {
  uint8_t flags = kCharDropped | kCharSpace | kCharPunctuation;
  if (options.tokenize_chinese_chars) flags |= kCharCjk;
  if (options.lower_case) flags |= kCharHasLower;
  return flags;
}

}  // namespace

WordSplitter::WordSplitter(const WordPieceOptions& options)
    : options_(options),
      handled_flags_(HandledFlags(options)),
      table_(CharTable::Get(options.slow ? UnicodeRules::kSlow
                                         : UnicodeRules::kFast)) {}

void WordSplitter::ForEachWord(absl::string_view text, Visitor visit) const {
  if (!MayNormalise(text)) return SplitAsItIs(text, visit);
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

bool WordSplitter::MayNormalise(absl::string_view text) const {
  uint8_t changing = 0;
  if (options_.slow) changing |= kCharMaybeNotNfc;
  if (options_.strip_accents) changing |= kCharMaybeNotNfd | kCharNonspacing;
  if (changing == 0) return false;
  // What a letter beyond ASCII becomes in lower case is not looked at.
  if (options_.lower_case) changing |= kCharHasLower;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (c >= 0x80 && (table_.Flags(c) & changing) != 0) return true;
  }
  return false;
}

// A word is a part of the text until a character of it changes or goes.
void WordSplitter::SplitAsItIs(absl::string_view text, Visitor visit) const {
  std::string changed;      // the word when it is no part of the text
  size_t start = 0;         // of the word
  int code_points = 0;      // of the word
  bool is_changed = false;  // whether the word is `changed`
  const auto flush = [&](size_t end) {
    if (code_points == 0) return true;
    const bool go_on = visit(is_changed ? absl::string_view(changed)
                                        : text.substr(start, end - start),
                             code_points);
    code_points = 0;
    is_changed = false;
    return go_on;
  };
  const auto change = [&](size_t end) {
    if (is_changed) return;
    changed.assign(text.data() + start, code_points == 0 ? 0 : end - start);
    is_changed = true;
  };
  size_t next = 0;
  for (size_t pos = 0; pos < text.size(); pos = next) {
    const char32_t c = NextCodePoint(text, &next);
    const uint8_t flags = table_.Flags(c) & handled_flags_;
    if (flags == 0) {
      if (code_points++ == 0) start = pos;
      if (is_changed) changed.append(text.data() + pos, next - pos);
    } else if ((flags & kCharDropped) != 0) {
      if (code_points > 0) change(pos);
    } else if ((flags & kCharSpace) != 0) {
      if (!flush(pos)) return;
    } else if ((flags & (kCharCjk | kCharPunctuation)) != 0) {
      if (!flush(pos) || !visit(text.substr(pos, next - pos), 1)) return;
    } else {
      change(pos);
      code_points += AppendLowerCaseUtf8(c, &changed);
    }
  }
  flush(text.size());
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
