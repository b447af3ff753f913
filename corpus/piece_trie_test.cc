#include "corpus/piece_trie.h"

#include <map>
#include <string>

#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

void ExpectMatch(const PieceTrie& trie, absl::string_view word, int32_t id,
                 size_t length) {
  const PieceTrie::Match match = trie.LongestPrefix(word);
  EXPECT_EQ(match.id, id) << word;
  EXPECT_EQ(match.length, length) << word;
}

TEST(PieceTrieTest, FindsTheLongestPieceThatAWordStartsWith) {
  const PieceTrie trie({{"영", 3}, {"영화", 4}, {"영화관에", 5}, {"a", 6}});
  ExpectMatch(trie, "영화관", 4, 6);
  ExpectMatch(trie, "영화관에서", 5, 12);
  ExpectMatch(trie, "영", 3, 3);
  ExpectMatch(trie, "aa", 6, 1);
  ExpectMatch(trie, "여", -1, 0);
  ExpectMatch(trie, "", -1, 0);
}

TEST(PieceTrieTest, LastOfEqualPiecesCountsAndEmptyOnesDoNot) {
  const PieceTrie trie({{"a", 1}, {"", 2}, {"a", 3}});
  ExpectMatch(trie, "ab", 3, 1);
  ExpectMatch(trie, "b", -1, 0);
  ExpectMatch(PieceTrie(), "a", -1, 0);
}

TEST(PieceTrieTest, EveryByteIsAByte) {
  const std::string nul("\0", 1);
  const PieceTrie trie({{nul, 1}, {"\xFF", 2}, {"\xFF\x7F", 3}});
  ExpectMatch(trie, nul, 1, 1);
  ExpectMatch(trie, nul + nul, 1, 1);
  ExpectMatch(trie, "\xFF\x7F\xFF", 3, 2);
  ExpectMatch(trie, "\xFF\xFF", 2, 1);
  ExpectMatch(trie, "\x7F", -1, 0);
}

// Against the longest key of a map, for words that often hold a piece.
TEST(PieceTrieTest, AgreesWithAMapOnRandomPieces) {
  constexpr uint64_t kSeed = 7;
  SCOPED_TRACE(kSeed);
  Pcg32 random(kSeed);
  const auto random_word = [&random](int letters) {
    std::string word(1 + random.Below(6), ' ');
    for (char& c : word) c = static_cast<char>(random.Below(letters) * 37);
    return word;
  };
  for (const int letters : {2, 5, 256}) {
    std::map<std::string, int32_t> expected;
    for (int i = 0; i < 3000; ++i) expected[random_word(letters)] = i;
    const PieceTrie trie({expected.begin(), expected.end()});
    for (int i = 0; i < 20000; ++i) {
      const std::string word = random_word(letters);
      size_t length = word.size();
      while (length > 0 && expected.count(word.substr(0, length)) == 0) {
        --length;
      }
      ExpectMatch(trie, word,
                  length == 0 ? -1 : expected[word.substr(0, length)], length);
    }
  }
}

}  // namespace
}  // namespace kodistil
