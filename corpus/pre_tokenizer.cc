#include "corpus/pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "corpus/unicode.h"

namespace kodistil {

// https://github.com/openai/gpt-2/blob/master/src/encoder.py
const char kGpt2Pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";

namespace {

using Parts = std::vector<TextPart>;

void AddPart(size_t begin, size_t end, bool is_separator, Parts* parts) {
  if (begin < end) parts->push_back({begin, end, is_separator});
}

class CharacterFinder final : public SeparatorFinder {
 public:
  explicit CharacterFinder(bool (*matches)(char32_t)) : matches_(matches) {}

  Parts Find(absl::string_view text) const override {
    Parts parts;
    size_t begin = 0;  // of what is no separator
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      if (!matches_(NextCodePoint(text, &pos))) continue;
      AddPart(begin, start, /*is_separator=*/false, &parts);
      AddPart(start, pos, /*is_separator=*/true, &parts);
      begin = pos;
    }
    AddPart(begin, text.size(), /*is_separator=*/false, &parts);
    return parts;
  }

 private:
  bool (*const matches_)(char32_t);
};

class RunFinder final : public SeparatorFinder {
 public:
  explicit RunFinder(bool (*matches)(char32_t)) : matches_(matches) {}

  Parts Find(absl::string_view text) const override {
    Parts parts;
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      const bool matches = matches_(NextCodePoint(text, &pos));
      if (!parts.empty() && parts.back().is_separator == matches) {
        parts.back().end = pos;
      } else {
        AddPart(start, pos, matches, &parts);
      }
    }
    return parts;
  }

 private:
  bool (*const matches_)(char32_t);
};

class LiteralFinder final : public SeparatorFinder {
 public:
  explicit LiteralFinder(std::string literal) : literal_(std::move(literal)) {}

  Parts Find(absl::string_view text) const override {
    Parts parts;
    size_t begin = 0;
    while (!literal_.empty()) {
      const size_t found = text.find(literal_, begin);
      if (found == absl::string_view::npos) break;
      AddPart(begin, found, /*is_separator=*/false, &parts);
      AddPart(found, found + literal_.size(), /*is_separator=*/true, &parts);
      begin = found + literal_.size();
    }
    AddPart(begin, text.size(), /*is_separator=*/false, &parts);
    return parts;
  }

 private:
  const std::string literal_;
};

// kGpt2Pattern by hand: the alternatives in order, each greedy.
class Gpt2Finder final : public SeparatorFinder {
 public:
  Parts Find(absl::string_view text) const override {
    Parts parts;
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = MatchAt(text, pos);
      AddPart(pos, end, /*is_separator=*/true, &parts);
      pos = end;
    }
    return parts;
  }

 private:
  enum class Kind { kLetter, kNumber, kSpace, kOther };

  static Kind KindOf(char32_t c) {
    if (IsLetter(c)) return Kind::kLetter;
    if (IsNumber(c)) return Kind::kNumber;
    return IsWhiteSpace(c) ? Kind::kSpace : Kind::kOther;
  }

  // The end of the run of characters of `kind` at `pos`; `*last` is where its
  // last character begins.
  static size_t RunEnd(absl::string_view text, size_t pos, Kind kind,
                       size_t* last) {
    while (pos < text.size()) {
      size_t next = pos;
      if (KindOf(NextCodePoint(text, &next)) != kind) break;
      *last = pos;
      pos = next;
    }
    return pos;
  }

  static size_t MatchAt(absl::string_view text, size_t start) {
    for (const absl::string_view ending :
         {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      if (absl::StartsWith(text.substr(start), ending)) {
        return start + ending.size();
      }
    }
    size_t pos = start;
    char32_t c = NextCodePoint(text, &pos);
    size_t last = start;
    if (c == ' ' && pos < text.size()) {
      size_t next = pos;
      const Kind kind = KindOf(NextCodePoint(text, &next));
      if (kind != Kind::kSpace) return RunEnd(text, pos, kind, &last);
    }
    const Kind kind = KindOf(c);
    const size_t end = RunEnd(text, start, kind, &last);
    // White space leaves its last character to the word that follows.
    const bool gives_back =
        kind == Kind::kSpace && end < text.size() && last > start;
    return gives_back ? last : end;
  }
};

// What Split::pre_tokenize of Hugging Face makes of the parts.
Parts Behave(const Parts& parts, SeparatorBehavior behavior) {
  Parts out;
  const bool backwards = behavior == SeparatorBehavior::kMergedWithNext;
  bool before = false;  // whether the part before was a separator
  for (size_t i = 0; i < parts.size(); ++i) {
    const TextPart& part = parts[backwards ? parts.size() - 1 - i : i];
    const bool separator = part.is_separator;
    bool merge = false;
    switch (behavior) {
      case SeparatorBehavior::kRemoved:
        if (separator) continue;
        break;
      case SeparatorBehavior::kIsolated:
        break;
      case SeparatorBehavior::kContiguous:
        merge = separator == before;
        break;
      case SeparatorBehavior::kMergedWithPrevious:
      case SeparatorBehavior::kMergedWithNext:
        merge = separator && !before;
        break;
    }
    before = separator;
    if (!merge || out.empty()) {
      out.push_back(part);
    } else if (backwards) {
      out.back().begin = part.begin;
    } else {
      out.back().end = part.end;
    }
  }
  if (backwards) std::reverse(out.begin(), out.end());
  return out;
}

// Replaces each word by what `split(word, out)` appends.
template <typename Split>
void SplitWords(std::vector<PreToken>* words, Split split) {
  std::vector<PreToken> out;
  for (PreToken& word : *words) {
    if (!word.text.empty()) split(std::move(word), &out);
  }
  words->swap(out);
}

class SplitPreTokenizer final : public PreTokenizer {
 public:
  SplitPreTokenizer(std::unique_ptr<SeparatorFinder> finder,
                    SeparatorBehavior behavior, bool invert)
      : finder_(std::move(finder)), behavior_(behavior), invert_(invert) {}

  void Apply(std::vector<PreToken>* words) const override {
    SplitWords(words, [this](PreToken word, std::vector<PreToken>* out) {
      Parts parts = finder_->Find(word.text);
      if (invert_) {
        for (TextPart& part : parts) part.is_separator = !part.is_separator;
      }
      for (const TextPart& part : Behave(parts, behavior_)) {
        out->push_back({word.text.substr(part.begin, part.end - part.begin),
                        word.at_start && part.begin == 0});
      }
    });
  }

 private:
  const std::unique_ptr<SeparatorFinder> finder_;
  const SeparatorBehavior behavior_;
  const bool invert_;
};

bool IsPunctuation(char32_t c) {
  static const CharTable& table = CharTable::Get(UnicodeRules::kFast);
  return (table.Flags(c) & kCharPunctuation) != 0;
}

// Letters and other characters; white space is neither.
class WordPreTokenizer final : public PreTokenizer {
 public:
  void Apply(std::vector<PreToken>* words) const override {
    SplitWords(words, [](const PreToken& word, std::vector<PreToken>* out) {
      enum class Kind { kSpace, kWord, kOther };
      Kind before = Kind::kSpace;
      for (size_t pos = 0; pos < word.text.size();) {
        const size_t start = pos;
        const char32_t c = NextCodePoint(word.text, &pos);
        const Kind kind = IsWordCharacter(c) ? Kind::kWord
                          : IsWhiteSpace(c)  ? Kind::kSpace
                                             : Kind::kOther;
        if (kind != Kind::kSpace && kind != before) {
          out->push_back({"", word.at_start && start == 0});
        }
        if (kind != Kind::kSpace) {
          out->back().text.append(word.text, start, pos - start);
        }
        before = kind;
      }
    });
  }
};

class MetaspacePreTokenizer final : public PreTokenizer {
 public:
  MetaspacePreTokenizer(std::string replacement, PrependScheme scheme,
                        bool split)
      : replacement_(std::move(replacement)),
        scheme_(scheme),
        split_(NewSplitPreTokenizer(NewLiteralFinder(replacement_),
                                    SeparatorBehavior::kMergedWithNext,
                                    /*invert=*/false)),
        splits_(split) {}

  void Apply(std::vector<PreToken>* words) const override {
    SplitWords(words, [this](PreToken word, std::vector<PreToken>* out) {
      absl::StrReplaceAll({{" ", replacement_}}, &word.text);
      const bool wanted = scheme_ == PrependScheme::kAlways ||
                          (scheme_ == PrependScheme::kFirst && word.at_start);
      if (wanted && !absl::StartsWith(word.text, replacement_)) {
        word.text.insert(0, replacement_);
      }
      out->push_back(std::move(word));
    });
    if (splits_) split_->Apply(words);
  }

 private:
  const std::string replacement_;
  const PrependScheme scheme_;
  const std::unique_ptr<PreTokenizer> split_;
  const bool splits_;
};

class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space) {
    if (use_regex) {
      split_ = NewSplitPreTokenizer(
          NewGpt2Finder(), SeparatorBehavior::kIsolated, /*invert=*/false);
    }
  }

  void Apply(std::vector<PreToken>* words) const override {
    SplitWords(words, [this](PreToken word, std::vector<PreToken>* out) {
      if (add_prefix_space_ && word.text[0] != ' ') word.text.insert(0, " ");
      out->push_back(std::move(word));
    });
    if (split_ != nullptr) split_->Apply(words);
    for (PreToken& word : *words) word.text = ToByteLevel(word.text);
  }

 private:
  const bool add_prefix_space_;
  std::unique_ptr<PreTokenizer> split_;
};

class PreTokenizerSequence final : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(
      std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  void Apply(std::vector<PreToken>* words) const override {
    for (const auto& part : parts_) part->Apply(words);
  }

 private:
  const std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

// Printable bytes stand for themselves, the others for U+0100 onwards.
std::array<std::string, 256> MakeByteLevelTable() {
  std::array<std::string, 256> table;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) ||
                           (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    AppendUtf8(printable ? static_cast<char32_t>(byte) : next++, &table[byte]);
  }
  return table;
}

}  // namespace

std::string ToByteLevel(absl::string_view text) {
  static const auto* const kTable =
      new std::array<std::string, 256>(MakeByteLevelTable());
  std::string out;
  out.reserve(2 * text.size());
  for (const char c : text) out.append((*kTable)[static_cast<uint8_t>(c)]);
  return out;
}

std::unique_ptr<SeparatorFinder> NewCharacterFinder(bool (*matches)(char32_t)) {
  return std::make_unique<CharacterFinder>(matches);
}

std::unique_ptr<SeparatorFinder> NewRunFinder(bool (*matches)(char32_t)) {
  return std::make_unique<RunFinder>(matches);
}

std::unique_ptr<SeparatorFinder> NewLiteralFinder(std::string literal) {
  return std::make_unique<LiteralFinder>(std::move(literal));
}

std::unique_ptr<SeparatorFinder> NewGpt2Finder() {
  return std::make_unique<Gpt2Finder>();
}

std::unique_ptr<PreTokenizer> NewSplitPreTokenizer(
    std::unique_ptr<SeparatorFinder> finder, SeparatorBehavior behavior,
    bool invert) {
  return std::make_unique<SplitPreTokenizer>(std::move(finder), behavior,
                                             invert);
}

std::unique_ptr<PreTokenizer> NewBertPreTokenizer() {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  parts.push_back(NewSplitPreTokenizer(NewCharacterFinder(IsWhiteSpace),
                                       SeparatorBehavior::kRemoved,
                                       /*invert=*/false));
  parts.push_back(NewPunctuationPreTokenizer(SeparatorBehavior::kIsolated));
  return NewPreTokenizerSequence(std::move(parts));
}

std::unique_ptr<PreTokenizer> NewWordPreTokenizer() {
  return std::make_unique<WordPreTokenizer>();
}

std::unique_ptr<PreTokenizer> NewPunctuationPreTokenizer(
    SeparatorBehavior behavior) {
  return NewSplitPreTokenizer(NewCharacterFinder(IsPunctuation), behavior,
                              /*invert=*/false);
}

std::unique_ptr<PreTokenizer> NewMetaspacePreTokenizer(std::string replacement,
                                                       PrependScheme scheme,
                                                       bool split) {
  return std::make_unique<MetaspacePreTokenizer>(std::move(replacement), scheme,
                                                 split);
}

std::unique_ptr<PreTokenizer> NewByteLevelPreTokenizer(bool add_prefix_space,
                                                       bool use_regex) {
  return std::make_unique<ByteLevelPreTokenizer>(add_prefix_space, use_regex);
}

std::unique_ptr<PreTokenizer> NewPreTokenizerSequence(
    std::vector<std::unique_ptr<PreTokenizer>> parts) {
  return std::make_unique<PreTokenizerSequence>(std::move(parts));
}

}  // namespace kodistil
