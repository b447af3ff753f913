#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "corpus/piece_model.h"
#include "corpus/piece_trie.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

class WordPieceModel final : public PieceModel {
 public:
  WordPieceModel(PieceIds pieces, const WordPieceModelOptions& options,
                 int32_t unk_id)
      : pieces_(std::move(pieces)),
        most_chars_(options.max_input_chars_per_word),
        unk_id_(unk_id) {
    const std::string& prefix = options.continuing_subword_prefix;
    std::vector<std::pair<absl::string_view, int32_t>> first, next;
    for (const auto& [piece, id] : pieces_) {
      first.push_back({piece, id});
      if (absl::StartsWith(piece, prefix)) {
        next.push_back({absl::string_view(piece).substr(prefix.size()), id});
      }
    }
    first_ = PieceTrie(std::move(first));
    next_ = PieceTrie(std::move(next));
  }

  void Append(absl::string_view word,
              std::vector<int32_t>* ids) const override {
    int64_t chars = 0;
    for (size_t pos = 0; pos < word.size(); ++chars) NextCodePoint(word, &pos);
    const size_t start_size = ids->size();
    const PieceTrie* pieces = &first_;
    while (!word.empty()) {
      const auto [id, length] = pieces->LongestPrefix(word);
      if (length == 0 || chars > most_chars_) {
        ids->resize(start_size);
        ids->push_back(unk_id_);
        return;
      }
      ids->push_back(id);
      word.remove_prefix(length);
      pieces = &next_;
    }
  }

  int32_t IdOf(absl::string_view piece) const override {
    const auto found = pieces_.find(piece);
    return found == pieces_.end() ? -1 : found->second;
  }

  int32_t size() const override { return static_cast<int32_t>(pieces_.size()); }

 private:
  const PieceIds pieces_;
  const int64_t most_chars_;
  const int32_t unk_id_;
  PieceTrie first_;
  PieceTrie next_;  // without the prefix
};

}  // namespace

absl::StatusOr<std::unique_ptr<PieceModel>> NewWordPieceModel(
    PieceIds pieces, const WordPieceModelOptions& options) {
  const auto unk = pieces.find(options.unk_token);
  if (unk == pieces.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unk_token is \"", options.unk_token, "\", expected a piece"));
  }
  const int32_t unk_id = unk->second;
  return std::unique_ptr<PieceModel>(
      std::make_unique<WordPieceModel>(std::move(pieces), options, unk_id));
}

}  // namespace kodistil
