#include <queue>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "corpus/piece_model.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

// What a pair of pieces becomes.
struct Merge {
  uint32_t rank;
  int32_t id;
};

using Merges = absl::flat_hash_map<uint64_t, Merge>;

uint64_t PairOf(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 |
         static_cast<uint32_t>(right);
}

// A word whose neighbouring pieces are merged, the lowest rank first and of
// equals the leftmost.
class MergedWord {
 public:
  MergedWord(std::vector<int32_t> ids, const Merges& merges)
      : ids_(std::move(ids)), merges_(merges) {}

  void AppendTo(std::vector<int32_t>* out) {
    const int32_t size = static_cast<int32_t>(ids_.size());
    for (int32_t i = 0; i < size; ++i) {
      before_.push_back(i - 1);
      after_.push_back(i + 1 < size ? i + 1 : -1);
    }
    for (int32_t i = 0; i + 1 < size; ++i) Propose(i);
    while (!queue_.empty()) {
      const auto [rank, place, id] = queue_.top();
      queue_.pop();
      Apply(place, id);
    }
    for (int32_t i = 0; i >= 0 && i < size; i = after_[i]) {
      out->push_back(ids_[i]);
    }
  }

 private:
  // Rank, place of the left piece, id of the merged one.
  using Proposal = std::tuple<uint32_t, int32_t, int32_t>;

  void Propose(int32_t place) {
    if (place < 0 || after_[place] < 0) return;
    const auto found = merges_.find(PairOf(ids_[place], ids_[after_[place]]));
    if (found == merges_.end()) return;
    queue_.push({found->second.rank, place, found->second.id});
  }

  // Unless the pair is no longer there.
  void Apply(int32_t place, int32_t id) {
    if (ids_[place] < 0 || after_[place] < 0) return;
    const int32_t right = after_[place];
    const auto found = merges_.find(PairOf(ids_[place], ids_[right]));
    if (found == merges_.end() || found->second.id != id) return;
    ids_[place] = id;
    ids_[right] = -1;
    after_[place] = after_[right];
    if (after_[right] >= 0) before_[after_[right]] = place;
    Propose(before_[place]);
    Propose(place);
  }

  std::vector<int32_t> ids_;  // -1: merged into the piece before
  std::vector<int32_t> before_;
  std::vector<int32_t> after_;
  const Merges& merges_;
  std::priority_queue<Proposal, std::vector<Proposal>, std::greater<Proposal>>
      queue_;
};

class BpeModel final : public PieceModel {
 public:
  BpeModel(PieceIds pieces, Merges merges, const BpeModelOptions& options)
      : pieces_(std::move(pieces)),
        merges_(std::move(merges)),
        options_(options),
        unk_id_(options.unk_token.empty() ? -1 : IdOf(options.unk_token)) {
    if (options.byte_fallback) bytes_ = BytePieceIds(pieces_);
  }

  void Append(absl::string_view word,
              std::vector<int32_t>* ids) const override {
    const int32_t whole = options_.ignore_merges ? IdOf(word) : -1;
    if (whole >= 0) {
      ids->push_back(whole);
    } else {
      MergedWord(Characters(word), merges_).AppendTo(ids);
    }
  }

  int32_t IdOf(absl::string_view piece) const override {
    const auto found = pieces_.find(piece);
    return found == pieces_.end() ? -1 : found->second;
  }

  int32_t size() const override { return static_cast<int32_t>(pieces_.size()); }

 private:
  // The pieces of the single characters.
  std::vector<int32_t> Characters(absl::string_view word) const {
    std::vector<int32_t> ids;
    bool unknown = false;  // an [UNK] that is not yet in `ids`
    std::string character;
    for (size_t pos = 0; pos < word.size();) {
      const size_t start = pos;
      NextCodePoint(word, &pos);
      character.assign(word.data() + start, pos - start);
      if (start > 0) character.insert(0, options_.continuing_subword_prefix);
      if (pos == word.size()) character += options_.end_of_word_suffix;
      const int32_t id = IdOf(character);
      if (id >= 0) {
        if (unknown) ids.push_back(unk_id_);
        unknown = false;
        ids.push_back(id);
      } else if (!bytes_.empty()) {
        for (const char c : character) {
          ids.push_back(bytes_[static_cast<uint8_t>(c)]);
        }
      } else if (unk_id_ >= 0) {
        if (unknown && !options_.fuse_unk) ids.push_back(unk_id_);
        unknown = true;
      }
    }
    if (unknown) ids.push_back(unk_id_);
    return ids;
  }

  const PieceIds pieces_;
  const Merges merges_;
  const BpeModelOptions options_;
  const int32_t unk_id_;
  std::vector<int32_t> bytes_;  // of all 256 bytes, or empty
};

}  // namespace

absl::StatusOr<std::unique_ptr<PieceModel>> NewBpeModel(
    PieceIds pieces, std::vector<std::pair<std::string, std::string>> merges,
    const BpeModelOptions& options) {
  if (!options.unk_token.empty() && !pieces.contains(options.unk_token)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unk_token is \"", options.unk_token, "\", expected a piece"));
  }
  const std::string& prefix = options.continuing_subword_prefix;
  Merges table;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    absl::string_view rest = right;
    if (rest.size() >= prefix.size()) rest.remove_prefix(prefix.size());
    const auto left_id = pieces.find(left);
    const auto right_id = pieces.find(right);
    const auto merged_id = pieces.find(absl::StrCat(left, rest));
    if (left_id == pieces.end() || right_id == pieces.end() ||
        merged_id == pieces.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("merge ", rank, " is \"", left, " ", right,
                       "\", expected pieces ", "that together are one"));
    }
    // Of a pair that occurs twice the last rank counts.
    table[PairOf(left_id->second, right_id->second)] = {
        static_cast<uint32_t>(rank), merged_id->second};
  }
  return std::unique_ptr<PieceModel>(
      std::make_unique<BpeModel>(std::move(pieces), std::move(table), options));
}

}  // namespace kodistil
