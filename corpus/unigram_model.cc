#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "corpus/piece_model.h"
#include "corpus/piece_trie.h"
#include "corpus/unicode.h"

namespace kodistil {

std::vector<int32_t> BytePieceIds(const PieceIds& pieces) {
  std::vector<int32_t> ids;
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = pieces.find(absl::StrFormat("<0x%02X>", byte));
    if (found == pieces.end()) return {};
    ids.push_back(found->second);
  }
  return ids;
}

namespace {

// An unknown character costs this much more than the least probable piece
// (kUnkPenalty of SentencePiece's unigram_model.cc).
constexpr double kUnknownPenalty = 10.0;

class UnigramModel final : public PieceModel {
 public:
  UnigramModel(std::vector<std::pair<std::string, double>> pieces,
               const UnigramModelOptions& options)
      : unk_id_(options.unk_id), size_(static_cast<int32_t>(pieces.size())) {
    double least = 0;
    std::vector<std::pair<absl::string_view, int32_t>> entries;
    for (int32_t id = 0; id < size_; ++id) {
      const auto& [piece, score] = pieces[id];
      entries.push_back({piece, id});
      ids_[piece] = id;  // of a piece that occurs twice the last id counts
      scores_.push_back(score);
      least = id == 0 ? score : std::min(least, score);
    }
    unknown_score_ = least - kUnknownPenalty;
    trie_ = PieceTrie(std::move(entries));
    if (options.byte_fallback) bytes_ = BytePieceIds(ids_);
  }

  void Append(absl::string_view word, std::vector<int32_t>* ids) const override;

  int32_t IdOf(absl::string_view piece) const override {
    const auto found = ids_.find(piece);
    return found == ids_.end() ? -1 : found->second;
  }

  int32_t size() const override { return size_; }

 private:
  // The best way to a place in a word.
  struct Node {
    int32_t id = -1;  // of the piece that ends here
    size_t begin = 0;
    double score = 0;
    bool reached = false;
  };

  static void Improve(const Node& candidate, Node* node) {
    if (!node->reached || candidate.score > node->score) *node = candidate;
  }

  std::vector<Node> Search(absl::string_view word) const;
  // The ids of a part of a word that was found as a whole, or of unknown
  // characters in a row.
  void AppendPart(absl::string_view part, std::vector<int32_t>* ids) const;

  const int32_t unk_id_;
  const int32_t size_;
  PieceIds ids_;
  std::vector<double> scores_;
  double unknown_score_ = 0;
  PieceTrie trie_;
  std::vector<int32_t> bytes_;  // of all 256 bytes, or empty
};

// Viterbi's algorithm over the characters; a character that is no piece is
// unknown. Of equals the first found stays, as in Hugging Face
// (Unigram::encode_optimized).
std::vector<UnigramModel::Node> UnigramModel::Search(
    absl::string_view word) const {
  std::vector<Node> best(word.size() + 1);
  best[0].reached = true;
  for (size_t pos = 0; pos < word.size();) {
    size_t next = pos;
    NextCodePoint(word, &next);
    const double here = best[pos].score;
    bool has_character = false;
    trie_.ForEachPrefix(word.substr(pos), [&](const PieceTrie::Match& match) {
      has_character |= pos + match.length == next;
      Improve({match.id, pos, scores_[match.id] + here, true},
              &best[pos + match.length]);
    });
    if (!has_character) {
      Improve({unk_id_, pos, unknown_score_ + here, true}, &best[next]);
    }
    pos = next;
  }
  return best;
}

void UnigramModel::Append(absl::string_view word,
                          std::vector<int32_t>* ids) const {
  const std::vector<Node> best = Search(word);
  std::vector<std::pair<size_t, size_t>> parts;  // from the last on
  bool unknown = false;                          // whether the last part is
  for (size_t end = word.size(); end > 0; end = best[end].begin) {
    const Node& node = best[end];
    if (unknown && node.id == unk_id_) {
      parts.back().first = node.begin;
    } else {
      parts.push_back({node.begin, end});
    }
    unknown = node.id == unk_id_;
  }
  for (size_t i = parts.size(); i-- > 0;) {
    AppendPart(word.substr(parts[i].first, parts[i].second - parts[i].first),
               ids);
  }
}

void UnigramModel::AppendPart(absl::string_view part,
                              std::vector<int32_t>* ids) const {
  const auto found = ids_.find(part);
  if (found != ids_.end()) {
    ids->push_back(found->second);
  } else if (bytes_.empty()) {
    ids->push_back(unk_id_);
  } else {
    for (const char c : part) ids->push_back(bytes_[static_cast<uint8_t>(c)]);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<PieceModel>> NewUnigramModel(
    std::vector<std::pair<std::string, double>> pieces,
    const UnigramModelOptions& options) {
  if (pieces.empty()) {
    return absl::InvalidArgumentError("there are no pieces, expected some");
  }
  if (options.unk_id < 0 ||
      static_cast<size_t>(options.unk_id) >= pieces.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unk_id is ", options.unk_id, ", expected 0 to ", pieces.size() - 1));
  }
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (!std::isfinite(pieces[id].second)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the score of piece ", id, " is not finite, expected a number"));
    }
  }
  return std::unique_ptr<PieceModel>(
      std::make_unique<UnigramModel>(std::move(pieces), options));
}

}  // namespace kodistil
