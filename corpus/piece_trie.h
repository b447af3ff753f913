// Pieces to ids, asked for the longest piece that a word starts with: a double
// array over bytes (Aoe: An Efficient Digital Search Algorithm by Using a
// Double-Array Structure, 1989).

#ifndef KODISTIL_CORPUS_PIECE_TRIE_H_
#define KODISTIL_CORPUS_PIECE_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace kodistil {

// Immutable, so thread-safe.
class PieceTrie {
 public:
  struct Match {
    int32_t id = -1;
    size_t length = 0;  // bytes; 0 when there is none
  };

  // Nothing is found in it.
  PieceTrie()
      : PieceTrie(std::vector<std::pair<absl::string_view, int32_t>>()) {}
  // Of a piece that occurs twice the last id counts; an empty one is ignored.
  // Ids are 0 or more. The views are not kept.
  explicit PieceTrie(std::vector<std::pair<absl::string_view, int32_t>> pieces);

  // The longest piece that `word` starts with.
  Match LongestPrefix(absl::string_view word) const {
    Match match;
    uint32_t node = 0;
    for (size_t i = 0; i < word.size(); ++i) {
      const uint32_t child =
          nodes_[node].children ^ static_cast<uint8_t>(word[i]);
      if (nodes_[child].parent != node) break;
      node = child;
      if (nodes_[node].id >= 0) match = {nodes_[node].id, i + 1};
    }
    return match;
  }

  // Calls visit(Match) for each piece that `word` starts with, the shortest
  // first.
  template <typename Visitor>
  void ForEachPrefix(absl::string_view word, Visitor visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < word.size(); ++i) {
      const uint32_t child =
          nodes_[node].children ^ static_cast<uint8_t>(word[i]);
      if (nodes_[child].parent != node) return;
      node = child;
      if (nodes_[node].id >= 0) visit(Match{nodes_[node].id, i + 1});
    }
  }

 private:
  friend class PieceTrieBuilder;

  static constexpr uint32_t kFree = 0xFFFFFFFF;

  // The child by byte b lies at children ^ b; it is one if its parent says so.
  struct Node {
    uint32_t children = 0;
    uint32_t parent = kFree;
    int32_t id = -1;  // of the piece that ends here, or -1
  };

  std::vector<Node> nodes_;  // nodes_[0] is the root
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_PIECE_TRIE_H_
