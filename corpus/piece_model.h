// How a tokenizer cuts a word into pieces: the models of Hugging Face's
// tokenizer.json.

#ifndef KODISTIL_CORPUS_PIECE_MODEL_H_
#define KODISTIL_CORPUS_PIECE_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// Pieces to ids of 0 or more; a piece has one id.
using PieceIds = absl::flat_hash_map<std::string, int32_t>;

// Immutable, so thread-safe.
class PieceModel {
 public:
  virtual ~PieceModel() = default;

  // Appends the ids of the pieces of `word`, which is not empty.
  virtual void Append(absl::string_view word,
                      std::vector<int32_t>* ids) const = 0;
  // The id of a piece, -1 when it is none.
  virtual int32_t IdOf(absl::string_view piece) const = 0;
  // How many pieces there are: the next id that an added token gets.
  virtual int32_t size() const = 0;
};

struct WordPieceModelOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  int64_t max_input_chars_per_word = 100;
};

// Greedy longest match from the left. INVALID_ARGUMENT without unk_token among
// the pieces; so below.
absl::StatusOr<std::unique_ptr<PieceModel>> NewWordPieceModel(
    PieceIds pieces, const WordPieceModelOptions& options);

struct BpeModelOptions {
  // Empty: what is unknown is dropped.
  std::string unk_token;
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;
  bool fuse_unk = false;
  // Bytes of unknown characters are pieces "<0x00>" to "<0xFF>".
  bool byte_fallback = false;
  // A word that is a piece is not merged from its characters.
  bool ignore_merges = false;
};

// Byte-pair encoding: the merges in order of rank. INVALID_ARGUMENT names a
// merge whose parts or result are no pieces.
absl::StatusOr<std::unique_ptr<PieceModel>> NewBpeModel(
    PieceIds pieces, std::vector<std::pair<std::string, std::string>> merges,
    const BpeModelOptions& options);

struct UnigramModelOptions {
  int32_t unk_id = 0;
  // Bytes of unknown characters are pieces "<0x00>" to "<0xFF>".
  bool byte_fallback = false;
};

// The most probable pieces; the place of a piece is its id, its score the
// logarithm of its probability. INVALID_ARGUMENT when there are none, unk_id is
// not among them, or a score is not finite.
absl::StatusOr<std::unique_ptr<PieceModel>> NewUnigramModel(
    std::vector<std::pair<std::string, double>> pieces,
    const UnigramModelOptions& options);

// Ids of "<0x00>" to "<0xFF>", or nothing unless all are there.
std::vector<int32_t> BytePieceIds(const PieceIds& pieces);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_PIECE_MODEL_H_
