#include "corpus/text_normalizer.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"

namespace kodistil {
namespace {

// Replaces each character by what `map(c, out)` appends.
template <typename Map>
void MapCharacters(std::string* text, bool* head_lost, Map map) {
  std::string out;
  out.reserve(text->size());
  bool first = true;
  for (size_t pos = 0; pos < text->size(); first = false) {
    map(NextCodePoint(*text, &pos), &out);
    if (first && out.empty()) *head_lost = true;
  }
  text->swap(out);
}

void AppendLowerCaseUtf8(char32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
    return;
  }
  std::u32string lower;
  AppendLowerCase(c, &lower);
  for (const char32_t l : lower) AppendUtf8(l, out);
}

class BertNormalizer final : public TextNormalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options)
      : options_(options), table_(CharTable::Get(UnicodeRules::kFast)) {}

  void Apply(std::string* text, bool* head_lost) const override {
    if (options_.clean_text || options_.handle_chinese_chars) {
      MapCharacters(text, head_lost, [this](char32_t c, std::string* out) {
        CleanAndSpace(c, out);
      });
    }
    if (options_.strip_accents) {
      NormalizeUtf8(NormalForm::kNfd, text);
      MapCharacters(text, head_lost, [this](char32_t c, std::string* out) {
        if ((table_.Flags(c) & kCharNonspacing) == 0) AppendUtf8(c, out);
      });
    }
    if (options_.lowercase) {
      MapCharacters(text, head_lost, AppendLowerCaseUtf8);
    }
  }

 private:
  void CleanAndSpace(char32_t c, std::string* out) const {
    const uint8_t flags = table_.Flags(c);
    if (options_.clean_text) {
      if ((flags & kCharDropped) != 0) return;
      if ((flags & kCharSpace) != 0) c = ' ';
    }
    const bool spaced =
        options_.handle_chinese_chars && (flags & kCharCjk) != 0;
    if (spaced) out->push_back(' ');
    AppendUtf8(c, out);
    if (spaced) out->push_back(' ');
  }

  const BertNormalizerOptions options_;
  const CharTable& table_;
};

class FormNormalizer final : public TextNormalizer {
 public:
  explicit FormNormalizer(NormalForm form) : form_(form) {}
  void Apply(std::string* text, bool* /*head_lost*/) const override {
    NormalizeUtf8(form_, text);
  }

 private:
  const NormalForm form_;
};

class LowercaseNormalizer final : public TextNormalizer {
 public:
  void Apply(std::string* text, bool* head_lost) const override {
    MapCharacters(text, head_lost, AppendLowerCaseUtf8);
  }
};

class StripAccentsNormalizer final : public TextNormalizer {
 public:
  void Apply(std::string* text, bool* head_lost) const override {
    MapCharacters(text, head_lost, [](char32_t c, std::string* out) {
      if (!IsMark(c)) AppendUtf8(c, out);
    });
  }
};

class StripNormalizer final : public TextNormalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}

  void Apply(std::string* text, bool* head_lost) const override {
    size_t begin = 0;  // of what stays
    size_t end = 0;
    bool seen = false;
    for (size_t pos = 0; pos < text->size();) {
      const size_t start = pos;
      if (IsWhiteSpace(NextCodePoint(*text, &pos))) continue;
      if (!seen) begin = start;
      seen = true;
      end = pos;
    }
    if (!seen) begin = end = text->size();
    if (!left_) begin = 0;
    if (!right_) end = text->size();
    if (!seen && right_) end = begin;
    if (begin > 0) *head_lost = true;
    *text = text->substr(begin, end - begin);
  }

 private:
  const bool left_;
  const bool right_;
};

class PrependNormalizer final : public TextNormalizer {
 public:
  explicit PrependNormalizer(std::string text) : text_(std::move(text)) {}
  void Apply(std::string* text, bool* /*head_lost*/) const override {
    if (!text->empty()) text->insert(0, text_);
  }

 private:
  const std::string text_;
};

class ReplaceNormalizer final : public TextNormalizer {
 public:
  ReplaceNormalizer(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void Apply(std::string* text, bool* head_lost) const override {
    if (content_.empty() && absl::StartsWith(*text, pattern_)) {
      *head_lost = true;
    }
    absl::StrReplaceAll({{pattern_, content_}}, text);
  }

 private:
  const std::string pattern_;
  const std::string content_;
};

class ReplaceRunsNormalizer final : public TextNormalizer {
 public:
  ReplaceRunsNormalizer(bool (*matches)(char32_t), int least,
                        std::string content)
      : matches_(matches), least_(least), content_(std::move(content)) {}

  void Apply(std::string* text, bool* head_lost) const override {
    std::string out;
    out.reserve(text->size());
    for (size_t pos = 0; pos < text->size();) {
      const size_t start = pos;
      int run = 0;
      for (size_t next = pos;
           pos < text->size() && matches_(NextCodePoint(*text, &next));
           pos = next) {
        ++run;
      }
      if (run == 0) NextCodePoint(*text, &pos);
      if (run >= least_) {
        out.append(content_);
        if (start == 0 && content_.empty()) *head_lost = true;
      } else {
        out.append(*text, start, pos - start);
      }
    }
    text->swap(out);
  }

 private:
  bool (*const matches_)(char32_t);
  const int least_;
  const std::string content_;
};

class CharsmapNormalizer final : public TextNormalizer {
 public:
  explicit CharsmapNormalizer(Charsmap charsmap)
      : charsmap_(std::move(charsmap)) {}
  void Apply(std::string* text, bool* head_lost) const override {
    charsmap_.Normalize(text, head_lost);
  }

 private:
  const Charsmap charsmap_;
};

class NormalizerSequence final : public TextNormalizer {
 public:
  explicit NormalizerSequence(
      std::vector<std::unique_ptr<TextNormalizer>> parts)
      : parts_(std::move(parts)) {}
  void Apply(std::string* text, bool* head_lost) const override {
    for (const auto& part : parts_) part->Apply(text, head_lost);
  }

 private:
  const std::vector<std::unique_ptr<TextNormalizer>> parts_;
};

}  // namespace

std::unique_ptr<TextNormalizer> NewBertNormalizer(
    const BertNormalizerOptions& options) {
  return std::make_unique<BertNormalizer>(options);
}

std::unique_ptr<TextNormalizer> NewFormNormalizer(NormalForm form) {
  return std::make_unique<FormNormalizer>(form);
}

std::unique_ptr<TextNormalizer> NewLowercaseNormalizer() {
  return std::make_unique<LowercaseNormalizer>();
}

std::unique_ptr<TextNormalizer> NewStripAccentsNormalizer() {
  return std::make_unique<StripAccentsNormalizer>();
}

std::unique_ptr<TextNormalizer> NewStripNormalizer(bool left, bool right) {
  return std::make_unique<StripNormalizer>(left, right);
}

std::unique_ptr<TextNormalizer> NewPrependNormalizer(std::string text) {
  return std::make_unique<PrependNormalizer>(std::move(text));
}

std::unique_ptr<TextNormalizer> NewReplaceNormalizer(std::string pattern,
                                                     std::string content) {
  return std::make_unique<ReplaceNormalizer>(std::move(pattern),
                                             std::move(content));
}

std::unique_ptr<TextNormalizer> NewReplaceRunsNormalizer(
    bool (*matches)(char32_t), int least, std::string content) {
  return std::make_unique<ReplaceRunsNormalizer>(matches, least,
                                                 std::move(content));
}

std::unique_ptr<TextNormalizer> NewCharsmapNormalizer(Charsmap charsmap) {
  return std::make_unique<CharsmapNormalizer>(std::move(charsmap));
}

std::unique_ptr<TextNormalizer> NewNormalizerSequence(
    std::vector<std::unique_ptr<TextNormalizer>> parts) {
  return std::make_unique<NormalizerSequence>(std::move(parts));
}

}  // namespace kodistil
