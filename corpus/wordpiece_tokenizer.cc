#include "corpus/wordpiece_tokenizer.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "corpus/piece_trie.h"
#include "corpus/token_layout.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr absl::string_view kContinuation = "##";
constexpr std::array<absl::string_view, 5> kSpecialPieces = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr int kRequiredSpecialPieces = 4;  // [MASK] may be missing

// Pieces to ids. The pieces that go on a word are kept without their "##".
struct Vocab {
  int size = 0;
  PieceTrie first;
  PieceTrie next;
  std::array<int32_t, kSpecialPieces.size()> special_ids;  // -1: not there

  absl::Status Parse(absl::string_view text, const std::string& source);
};

absl::Status Vocab::Parse(absl::string_view text, const std::string& source) {
  std::vector<std::pair<absl::string_view, int32_t>> starts, continuations;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    absl::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    absl::ConsumeSuffix(&piece, "\r");
    if (WellFormedUtf8Prefix(piece) < piece.size()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s:%d: found a piece that is not UTF-8, expected "
                          "one UTF-8 piece a line",
                          source, size + 1));
    }
    // A piece that occurs twice has its last id, as in Hugging Face's readers.
    const bool continues = absl::ConsumePrefix(&piece, kContinuation);
    (continues ? continuations : starts).push_back({piece, size++});
  }
  first = PieceTrie(std::move(starts));
  next = PieceTrie(std::move(continuations));
  for (size_t i = 0; i < kSpecialPieces.size(); ++i) {
    const PieceTrie::Match found = first.LongestPrefix(kSpecialPieces[i]);
    special_ids[i] = found.length == kSpecialPieces[i].size() ? found.id : -1;
    if (special_ids[i] < 0 && i < kRequiredSpecialPieces) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: found %d pieces without %s, expected a WordPiece vocabulary "
          "with [PAD], [UNK], [CLS] and [SEP]",
          source, size, kSpecialPieces[i]));
    }
  }
  return absl::OkStatus();
}

class TrieWordPieceTokenizer final : public WordPieceTokenizer {
 public:
  TrieWordPieceTokenizer(std::unique_ptr<Vocab> vocab,
                         const WordPieceOptions& options)
      : vocab_(std::move(vocab)), options_(options), splitter_(options) {
    ids_.pad = vocab_->special_ids[0];
    ids_.unk = vocab_->special_ids[1];
    ids_.cls = vocab_->special_ids[2];
    ids_.sep = vocab_->special_ids[3];
    ids_.mask = vocab_->special_ids[4];
  }

  int vocab_size() const override { return vocab_->size; }
  int special_tokens(bool pair) const override { return pair ? 3 : 2; }
  const SpecialTokenIds& special_ids() const override { return ids_; }

 private:
  void EncodeOne(absl::string_view text, int max_length,
                 std::vector<int32_t>* ids,
                 std::vector<int32_t>* type_ids) const override {
    CHECK(max_length == 0 || max_length >= 2) << max_length;
    ids->assign(1, ids_.cls);
    AppendPieces(text, max_length == 0 ? SIZE_MAX : max_length - 1, ids);
    ids->push_back(ids_.sep);
    if (type_ids != nullptr) type_ids->assign(ids->size(), 0);
  }

  std::vector<int32_t> EncodeTwo(
      absl::string_view text, absl::string_view second, int max_length,
      std::vector<int32_t>* type_ids) const override {
    CHECK(max_length == 0 || max_length >= 3) << max_length;
    const size_t budget = max_length == 0 ? SIZE_MAX : max_length - 3;
    std::vector<int32_t> first_ids, second_ids;
    AppendPieces(text, SIZE_MAX, &first_ids);
    AppendPieces(second, SIZE_MAX, &second_ids);
    const auto [keep_first, keep_second] = KeepLongestFirst(
        first_ids.size(), second_ids.size(), budget, options_.slow);
    std::vector<int32_t> ids = {ids_.cls};
    ids.insert(ids.end(), first_ids.begin(), first_ids.begin() + keep_first);
    ids.push_back(ids_.sep);
    if (type_ids != nullptr) type_ids->assign(ids.size(), 0);
    ids.insert(ids.end(), second_ids.begin(), second_ids.begin() + keep_second);
    ids.push_back(ids_.sep);
    if (type_ids != nullptr) type_ids->resize(ids.size(), 1);
    return ids;
  }

  // Appends the pieces of `text` to `*ids` until it holds `limit`.
  void AppendPieces(absl::string_view text, size_t limit,
                    std::vector<int32_t>* ids) const {
    size_t start = 0;
    for (size_t pos = options_.special_literals ? text.find('[') : text.npos;
         pos != text.npos; pos = text.find('[', pos)) {
      const int special = SpecialAt(text.substr(pos));
      if (special < 0) {
        ++pos;
        continue;
      }
      AppendOrdinary(text.substr(start, pos - start), limit, ids);
      if (ids->size() >= limit) return;
      ids->push_back(vocab_->special_ids[special]);
      start = pos += kSpecialPieces[special].size();
    }
    AppendOrdinary(text.substr(start), limit, ids);
  }

  // Index of the special piece that `text` starts with, or -1.
  int SpecialAt(absl::string_view text) const {
    for (size_t i = 0; i < kSpecialPieces.size(); ++i) {
      if (vocab_->special_ids[i] >= 0 &&
          absl::StartsWith(text, kSpecialPieces[i])) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

  void AppendOrdinary(absl::string_view text, size_t limit,
                      std::vector<int32_t>* ids) const {
    if (ids->size() >= limit) return;
    splitter_.ForEachWord(
        text, [this, limit, ids](absl::string_view word, int code_points) {
          if (code_points > options_.max_word_chars) {
            ids->push_back(ids_.unk);
          } else {
            AppendWord(word, ids);
          }
          return ids->size() < limit;
        });
    if (ids->size() > limit) ids->resize(limit);
  }

  // Greedy longest match from the left; one [UNK] when a part has no piece.
  void AppendWord(absl::string_view word, std::vector<int32_t>* ids) const {
    const size_t start_size = ids->size();
    const PieceTrie* pieces = &vocab_->first;
    while (!word.empty()) {
      const auto [id, length] = pieces->LongestPrefix(word);
      if (length == 0) {
        ids->resize(start_size);
        ids->push_back(ids_.unk);
        return;
      }
      ids->push_back(id);
      word.remove_prefix(length);
      pieces = &vocab_->next;
    }
  }

  const std::unique_ptr<const Vocab> vocab_;
  const WordPieceOptions options_;
  const WordSplitter splitter_;
  SpecialTokenIds ids_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WordPieceTokenizer>> WordPieceTokenizer::Create(
    absl::string_view vocab, const std::string& source,
    const WordPieceOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto parsed = std::make_unique<Vocab>();
  KODISTIL_RETURN_IF_ERROR(parsed->Parse(vocab, source));
  return std::unique_ptr<WordPieceTokenizer>(
      std::make_unique<TrieWordPieceTokenizer>(std::move(parsed), options));
}

}  // namespace kodistil
