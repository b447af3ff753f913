#include "corpus/pipeline_tokenizer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "corpus/unicode.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

class PipelineTokenizer final : public Tokenizer {
 public:
  PipelineTokenizer(TokenizerParts parts, AddedTokens raw,
                    AddedTokens normalized)
      : parts_(std::move(parts)),
        raw_(std::move(raw)),
        normalized_(std::move(normalized)) {}

  int vocab_size() const override { return parts_.vocab_size; }
  int special_tokens(bool pair) const override {
    return parts_.layout.special_tokens(pair);
  }
  const SpecialTokenIds& special_ids() const override {
    return parts_.special_ids;
  }

 private:
  void EncodeOne(absl::string_view text, int max_length,
                 std::vector<int32_t>* ids,
                 std::vector<int32_t>* type_ids) const override {
    ids->clear();
    Append(text, ids);
    parts_.layout.ApplySingle(max_length, ids, type_ids);
  }

  std::vector<int32_t> EncodeTwo(
      absl::string_view text, absl::string_view second, int max_length,
      std::vector<int32_t>* type_ids) const override {
    std::vector<int32_t> first_ids, second_ids;
    Append(text, &first_ids);
    Append(second, &second_ids);
    return parts_.layout.ApplyPair(std::move(first_ids), std::move(second_ids),
                                   max_length, type_ids);
  }

  void Append(absl::string_view text, std::vector<int32_t>* ids) const {
    if (WellFormedUtf8Prefix(text) < text.size()) {
      const std::string well_formed = WellFormed(text);
      return AppendWellFormed(well_formed, ids);
    }
    AppendWellFormed(text, ids);
  }

  void AppendWellFormed(absl::string_view text,
                        std::vector<int32_t>* ids) const {
    raw_.Split(text, [&](int32_t id, absl::string_view part) {
      if (id >= 0) return ids->push_back(id);
      AppendOrdinary(part, part.data() == text.data(), ids);
    });
  }

  // The ids of a text between added tokens.
  void AppendOrdinary(absl::string_view text, bool at_start,
                      std::vector<int32_t>* ids) const {
    std::string normal(text);
    bool head_lost = false;
    if (parts_.normalizer != nullptr) {
      parts_.normalizer->Apply(&normal, &head_lost);
    }
    at_start &= !head_lost;
    normalized_.Split(normal, [&](int32_t id, absl::string_view part) {
      if (id >= 0) return ids->push_back(id);
      AppendWords(part, at_start && part.data() == normal.data(), ids);
    });
  }

  void AppendWords(absl::string_view text, bool at_start,
                   std::vector<int32_t>* ids) const {
    if (parts_.pre_tokenizer == nullptr) return parts_.model->Append(text, ids);
    std::vector<PreToken> words = {{std::string(text), at_start}};
    parts_.pre_tokenizer->Apply(&words);
    for (const PreToken& word : words) parts_.model->Append(word.text, ids);
  }

  const TokenizerParts parts_;
  const AddedTokens raw_;         // found in the text
  const AddedTokens normalized_;  // found in the normalised text
};

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> NewPipelineTokenizer(
    TokenizerParts parts) {
  std::vector<AddedToken> raw, normalized;
  // Special tokens come first: of two with the same content they are found.
  for (const bool special : {true, false}) {
    for (const AddedToken& token : parts.added_tokens) {
      if (token.special != special) continue;
      if (!token.normalized) {
        raw.push_back(token);
        continue;
      }
      AddedToken changed = token;
      bool head_lost = false;
      if (parts.normalizer != nullptr) {
        parts.normalizer->Apply(&changed.content, &head_lost);
      }
      if (changed.content.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("nothing is left of the added token \"", token.content,
                         "\" by the normalizer, expected something to find"));
      }
      normalized.push_back(std::move(changed));
    }
  }
  return std::unique_ptr<Tokenizer>(std::make_unique<PipelineTokenizer>(
      std::move(parts), AddedTokens(std::move(raw)),
      AddedTokens(std::move(normalized))));
}

}  // namespace kodistil
