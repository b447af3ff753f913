#include "corpus/vocab_trainer.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

constexpr absl::string_view kContinuation = "##";
constexpr int kSpecialPieces = 5;

using PieceId = int32_t;
using Pair = std::pair<PieceId, PieceId>;

// A distinct word, cut into the pieces so far.
struct Word {
  std::vector<PieceId> pieces;
  int64_t count = 0;
};

// A pair whose count was `count` when it was queued; older entries of a pair
// whose count has fallen since are queued again when they surface.
struct Candidate {
  int64_t count;
  Pair pair;

  // Less is later in the queue.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// Distinct words and how often each occurs.
using WordCounts = std::vector<std::pair<std::string, int64_t>>;

// Sorted, so that nothing depends on the order of the texts.
WordCounts CountWords(const std::vector<std::string>& texts,
                      const WordPieceOptions& options) {
  const WordSplitter splitter(options);
  absl::flat_hash_map<std::string, int64_t> counts;
  for (const std::string& text : texts) {
    splitter.ForEachWord(text,
                         [&counts](absl::string_view word, int code_points) {
                           ++counts[word];
                           return true;
                         });
  }
  WordCounts sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// The `limit` most frequent characters; of those as frequent the first.
std::vector<char32_t> Alphabet(const WordCounts& words, size_t limit) {
  std::map<char32_t, int64_t> counts;
  for (const auto& [word, count] : words) {
    for (size_t pos = 0; pos < word.size();) {
      counts[NextCodePoint(word, &pos)] += count;
    }
  }
  std::vector<std::pair<int64_t, char32_t>> ranked;
  for (const auto& [c, count] : counts) ranked.emplace_back(-count, c);
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), limit));
  std::vector<char32_t> alphabet;
  for (const auto& [count, c] : ranked) alphabet.push_back(c);
  std::sort(alphabet.begin(), alphabet.end());
  return alphabet;
}

// The pair counts are kept up to date from merge to merge: only the words that
// hold the merged pair are visited.
class Trainer {
 public:
  explicit Trainer(const VocabTrainerOptions& options) : options_(options) {
    for (const char* piece : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
      AddPiece(piece);
    }
  }

  std::string Train(const WordCounts& words) {
    CutIntoCharacters(words);
    for (size_t i = 0; i < words_.size(); ++i) {
      for (size_t j = 0; j + 1 < words_[i].pieces.size(); ++j) {
        Count({words_[i].pieces[j], words_[i].pieces[j + 1]}, i, +1);
      }
    }
    for (const auto& [pair, count] : counts_) queue_.push({count, pair});
    while (pieces_.size() < static_cast<size_t>(options_.vocab_size) &&
           MergeNext()) {
    }
    return absl::StrCat(absl::StrJoin(pieces_, "\n"), "\n");
  }

 private:
  PieceId AddPiece(const std::string& piece) {
    const auto [it, added] =
        ids_.try_emplace(piece, static_cast<PieceId>(pieces_.size()));
    if (added) pieces_.push_back(piece);
    return it->second;
  }

  // Characters outside the alphabet are left out of their words, as in HF.
  void CutIntoCharacters(const WordCounts& words) {
    AddAlphabet(words);
    for (const auto& [word, count] : words) {
      Word cut;
      cut.count = count;
      for (size_t pos = 0; pos < word.size();) {
        const auto& alphabet = pos == 0 ? first_ : inside_;
        const auto found = alphabet.find(NextCodePoint(word, &pos));
        if (found != alphabet.end()) cut.pieces.push_back(found->second);
      }
      if (cut.pieces.size() > 1) words_.push_back(std::move(cut));
    }
  }

  void AddAlphabet(const WordCounts& words) {
    const int limit = std::min(options_.limit_alphabet,
                               (options_.vocab_size - kSpecialPieces) / 2);
    for (const char32_t c : Alphabet(words, limit)) {
      std::string piece;
      AppendUtf8(c, &piece);
      first_[c] = AddPiece(piece);
    }
    std::set<char32_t> inside;
    for (const auto& [word, count] : words) {
      size_t pos = 0;
      NextCodePoint(word, &pos);
      while (pos < word.size()) {
        const char32_t c = NextCodePoint(word, &pos);
        if (first_.contains(c)) inside.insert(c);
      }
    }
    for (const char32_t c : inside) {
      std::string piece(kContinuation);
      AppendUtf8(c, &piece);
      inside_[c] = AddPiece(piece);
    }
  }

  // The pair occurs `change` times more in word `word`.
  void Count(Pair pair, size_t word, int change) {
    counts_[pair] += change * words_[word].count;
    if (change <= 0) return;
    std::vector<uint32_t>& where = where_[pair];
    if (where.empty() || where.back() != word) {
      where.push_back(static_cast<uint32_t>(word));
    }
  }

  // Merges the most frequent pair; false when there is none left.
  bool MergeNext() {
    while (!queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      const int64_t count = counts_[top.pair];
      if (count < options_.min_frequency) continue;
      if (count != top.count) {
        if (count < top.count) queue_.push({count, top.pair});
        continue;  // a later entry has the greater count
      }
      Merge(top.pair);
      return true;
    }
    return false;
  }

  void Merge(Pair pair) {
    const PieceId merged = AddPiece(
        absl::StrCat(pieces_[pair.first],
                     absl::StripPrefix(pieces_[pair.second], kContinuation)));
    std::vector<Pair> grown;
    const std::vector<uint32_t> where = std::move(where_[pair]);
    where_.erase(pair);
    for (const uint32_t word : where) {
      MergeInWord(pair, merged, word, &grown);
    }
    counts_.erase(pair);
    std::sort(grown.begin(), grown.end());
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (const Pair& next : grown) queue_.push({counts_[next], next});
  }

  void MergeInWord(Pair pair, PieceId merged, uint32_t index,
                   std::vector<Pair>* grown) {
    std::vector<PieceId>& pieces = words_[index].pieces;
    for (size_t i = 0; i + 1 < pieces.size(); ++i) {
      if (pieces[i] != pair.first || pieces[i + 1] != pair.second) continue;
      if (i > 0) {
        Count({pieces[i - 1], pair.first}, index, -1);
        Count({pieces[i - 1], merged}, index, +1);
        grown->push_back({pieces[i - 1], merged});
      }
      if (i + 2 < pieces.size()) {
        Count({pair.second, pieces[i + 2]}, index, -1);
        Count({merged, pieces[i + 2]}, index, +1);
        grown->push_back({merged, pieces[i + 2]});
      }
      pieces[i] = merged;
      pieces.erase(pieces.begin() + static_cast<int64_t>(i) + 1);
    }
  }

  const VocabTrainerOptions options_;
  std::vector<std::string> pieces_;
  absl::flat_hash_map<std::string, PieceId> ids_;
  // The alphabet's pieces at the start of a word and inside.
  absl::flat_hash_map<char32_t, PieceId> first_, inside_;
  std::vector<Word> words_;  // of two pieces or more
  absl::flat_hash_map<Pair, int64_t> counts_;
  absl::flat_hash_map<Pair, std::vector<uint32_t>> where_;  // into words_
  std::priority_queue<Candidate> queue_;
};

}  // namespace

absl::Status VocabTrainerOptions::Validate() const {
  if (vocab_size < 100 || vocab_size > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("vocab_size is ", vocab_size, ", expected 100 to 65535"));
  }
  if (limit_alphabet < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "limit_alphabet is ", limit_alphabet, ", expected 1 or more"));
  }
  if (min_frequency < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "min_frequency is ", min_frequency, ", expected 1 or more"));
  }
  return tokenizer.Validate();
}

absl::StatusOr<std::string> TrainVocab(const std::vector<std::string>& texts,
                                       const VocabTrainerOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  const WordCounts words = CountWords(texts, options.tokenizer);
  if (words.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("found no word in ", texts.size(),
                     " texts, expected text to train a vocabulary on"));
  }
  return Trainer(options).Train(words);
}

}  // namespace kodistil
