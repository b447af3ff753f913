#include "corpus/wordpiece_tokenizer.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr absl::string_view kContinuation = "##";
constexpr std::array<absl::string_view, 5> kSpecialPieces = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr int kRequiredSpecialPieces = 4;  // [MASK] may be missing

bool IsCharacterStart(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

// Pieces to ids. The pieces that go on a word are kept without their "##".
struct Vocab {
  std::string text;  // what the views below point into
  int size = 0;
  absl::flat_hash_map<absl::string_view, int32_t> first;
  absl::flat_hash_map<absl::string_view, int32_t> next;
  size_t longest = 0;  // bytes of the longest key
  std::array<int32_t, kSpecialPieces.size()> special_ids;  // -1: not there

  absl::Status Parse(const std::string& source);
  void Add(absl::string_view piece, int32_t id);
};

void Vocab::Add(absl::string_view piece, int32_t id) {
  // A piece that occurs twice has its last id, as in Hugging Face's readers.
  const bool continues = absl::ConsumePrefix(&piece, kContinuation);
  (continues ? next : first)[piece] = id;
  longest = std::max(longest, piece.size());
}

absl::Status Vocab::Parse(const std::string& source) {
  absl::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    absl::string_view piece = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    absl::ConsumeSuffix(&piece, "\r");
    if (WellFormedUtf8Prefix(piece) < piece.size()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s:%d: found a piece that is not UTF-8, expected "
                          "one UTF-8 piece a line",
                          source, size + 1));
    }
    Add(piece, size++);
  }
  for (size_t i = 0; i < kSpecialPieces.size(); ++i) {
    const auto found = first.find(kSpecialPieces[i]);
    special_ids[i] = found == first.end() ? -1 : found->second;
    if (special_ids[i] < 0 && i < kRequiredSpecialPieces) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: found %d pieces without %s, expected a WordPiece vocabulary "
          "with [PAD], [UNK], [CLS] and [SEP]",
          source, size, kSpecialPieces[i]));
    }
  }
  return absl::OkStatus();
}

// Longest-first truncation of two texts of `first` and `second` pieces to
// `budget` together: how many of each stay. The two tokenizers differ in who
// keeps the odd piece of two long texts: Python cuts one piece after another,
// the second text at a tie (_truncate_longest_first); Rust halves the budget
// and gives the longer text the odd one (utils/truncation.rs).
std::pair<size_t, size_t> KeepLongestFirst(size_t first, size_t second,
                                           size_t budget, bool slow) {
  if (first + second <= budget) return {first, second};
  const size_t half = budget / 2;
  if (std::min(first, second) <= half) {
    return first <= second ? std::make_pair(first, budget - first)
                           : std::make_pair(budget - second, second);
  }
  const bool first_keeps_odd = slow || first > second;
  return first_keeps_odd ? std::make_pair(budget - half, half)
                         : std::make_pair(half, budget - half);
}

class HashWordPieceTokenizer final : public WordPieceTokenizer {
 public:
  HashWordPieceTokenizer(std::unique_ptr<Vocab> vocab,
                         const WordPieceOptions& options)
      : vocab_(std::move(vocab)), options_(options), splitter_(options) {}

  std::vector<int32_t> Encode(absl::string_view text,
                              int max_length) const override {
    CHECK(max_length == 0 || max_length >= 2) << max_length;
    std::vector<int32_t> ids = {cls_id()};
    AppendPieces(text, max_length == 0 ? SIZE_MAX : max_length - 1, &ids);
    ids.push_back(sep_id());
    return ids;
  }

  std::vector<int32_t> EncodePair(
      absl::string_view text, absl::string_view second, int max_length,
      std::vector<int32_t>* type_ids) const override {
    CHECK(max_length == 0 || max_length >= 3) << max_length;
    const size_t budget = max_length == 0 ? SIZE_MAX : max_length - 3;
    std::vector<int32_t> first_ids, second_ids;
    AppendPieces(text, SIZE_MAX, &first_ids);
    AppendPieces(second, SIZE_MAX, &second_ids);
    const auto [keep_first, keep_second] = KeepLongestFirst(
        first_ids.size(), second_ids.size(), budget, options_.slow);
    std::vector<int32_t> ids = {cls_id()};
    ids.insert(ids.end(), first_ids.begin(), first_ids.begin() + keep_first);
    ids.push_back(sep_id());
    if (type_ids != nullptr) type_ids->assign(ids.size(), 0);
    ids.insert(ids.end(), second_ids.begin(), second_ids.begin() + keep_second);
    ids.push_back(sep_id());
    if (type_ids != nullptr) type_ids->resize(ids.size(), 1);
    return ids;
  }

  int vocab_size() const override { return vocab_->size; }
  int32_t pad_id() const override { return vocab_->special_ids[0]; }
  int32_t unk_id() const override { return vocab_->special_ids[1]; }
  int32_t cls_id() const override { return vocab_->special_ids[2]; }
  int32_t sep_id() const override { return vocab_->special_ids[3]; }

 private:
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
            ids->push_back(unk_id());
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
    const auto* pieces = &vocab_->first;
    while (!word.empty()) {
      const auto [id, length] = LongestPrefix(word, *pieces);
      if (length == 0) {
        ids->resize(start_size);
        ids->push_back(unk_id());
        return;
      }
      ids->push_back(id);
      word.remove_prefix(length);
      pieces = &vocab_->next;
    }
  }

  // The id and the bytes of the longest piece that `word` starts with; 0 bytes
  // when there is none.
  std::pair<int32_t, size_t> LongestPrefix(
      absl::string_view word,
      const absl::flat_hash_map<absl::string_view, int32_t>& pieces) const {
    for (size_t end = std::min(word.size(), vocab_->longest); end > 0; --end) {
      if (end < word.size() && !IsCharacterStart(word[end])) continue;
      const auto found = pieces.find(word.substr(0, end));
      if (found != pieces.end()) return {found->second, end};
    }
    return {0, 0};
  }

  const std::unique_ptr<const Vocab> vocab_;
  const WordPieceOptions options_;
  const WordSplitter splitter_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WordPieceTokenizer>> WordPieceTokenizer::Create(
    absl::string_view vocab, const std::string& source,
    const WordPieceOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto parsed = std::make_unique<Vocab>();
  parsed->text = std::string(vocab);
  KODISTIL_RETURN_IF_ERROR(parsed->Parse(source));
  return std::unique_ptr<WordPieceTokenizer>(
      std::make_unique<HashWordPieceTokenizer>(std::move(parsed), options));
}

}  // namespace kodistil
