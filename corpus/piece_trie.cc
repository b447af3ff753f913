#include "corpus/piece_trie.h"

#include <algorithm>

namespace kodistil {

using Pieces = std::vector<std::pair<absl::string_view, int32_t>>;

// Places the nodes of sorted, distinct pieces.
class PieceTrieBuilder {
 public:
  PieceTrieBuilder(const Pieces& pieces, std::vector<PieceTrie::Node>* nodes)
      : pieces_(pieces), nodes_(*nodes) {
    // A leaf's children are looked for in the first block, the root's in the
    // second: nothing there is theirs.
    nodes_.resize(2 * kBlock);
    nodes_[0].parent = 0;
    nodes_[0].children = kBlock;
    if (pieces_.empty()) return;
    // A stack of our own: as deep as the longest piece.
    std::vector<Range> waiting = {{/*node=*/0, 0, pieces_.size(), 0}};
    while (!waiting.empty()) {
      const Range range = waiting.back();
      waiting.pop_back();
      Place(range, &waiting);
    }
  }

 private:
  // The pieces `begin` to `end` share their first `depth` bytes, which lead to
  // `node`.
  struct Range {
    uint32_t node;
    size_t begin;
    size_t end;
    size_t depth;
  };

  // children ^ byte stays within a block of 256.
  static constexpr size_t kBlock = 256;

  // Places the children of a node; what is below them is left to `waiting`.
  void Place(Range range, std::vector<Range>* waiting) {
    if (pieces_[range.begin].first.size() == range.depth) {
      nodes_[range.node].id = pieces_[range.begin++].second;
    }
    if (range.begin == range.end) return;
    std::vector<std::pair<uint8_t, size_t>> groups;  // byte, first piece
    for (size_t i = range.begin; i < range.end; ++i) {
      const uint8_t byte = ByteAt(i, range.depth);
      if (groups.empty() || groups.back().first != byte) {
        groups.push_back({byte, i});
      }
    }
    const uint32_t children = FindFree(groups);
    nodes_[range.node].children = children;
    for (const auto& [byte, first] : groups) {
      nodes_[children ^ byte].parent = range.node;
    }
    size_t end = range.end;
    for (size_t g = groups.size(); g-- > 0;) {
      const auto [byte, first] = groups[g];
      waiting->push_back({children ^ byte, first, end, range.depth + 1});
      end = first;
    }
  }

  uint8_t ByteAt(size_t piece, size_t depth) const {
    return static_cast<uint8_t>(pieces_[piece].first[depth]);
  }

  // The first place where all children fit.
  uint32_t FindFree(const std::vector<std::pair<uint8_t, size_t>>& groups) {
    const auto is_free = [this](uint32_t place) {
      return place >= nodes_.size() || nodes_[place].parent == PieceTrie::kFree;
    };
    while (!is_free(first_free_)) ++first_free_;
    for (uint32_t place = first_free_;; ++place) {
      if (place < kBlock || !is_free(place)) continue;
      const uint32_t children = place ^ groups[0].first;
      if (!std::all_of(groups.begin(), groups.end(), [&](const auto& group) {
            return is_free(children ^ group.first);
          })) {
        continue;
      }
      const size_t blocks = children / kBlock + 1;
      if (nodes_.size() < blocks * kBlock) nodes_.resize(blocks * kBlock);
      return children;
    }
  }

  const Pieces& pieces_;
  std::vector<PieceTrie::Node>& nodes_;
  uint32_t first_free_ = kBlock;
};

PieceTrie::PieceTrie(Pieces pieces) {
  std::stable_sort(
      pieces.begin(), pieces.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  Pieces distinct;
  for (const auto& piece : pieces) {
    if (piece.first.empty()) continue;
    if (!distinct.empty() && distinct.back().first == piece.first) {
      distinct.back() = piece;
    } else {
      distinct.push_back(piece);
    }
  }
  PieceTrieBuilder(distinct, &nodes_);
}

}  // namespace kodistil
