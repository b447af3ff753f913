// The normalisation table of a SentencePiece model (its precompiled_charsmap):
// a double array from sequences of characters to what replaces them.

#ifndef KODISTIL_CORPUS_CHARSMAP_H_
#define KODISTIL_CORPUS_CHARSMAP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// Immutable, so thread-safe.
class Charsmap {
 public:
  // `blob` as SentencePiece writes it: the array's size in bytes, the array of
  // Darts (Yata: darts-clone), and the replacements, each ended by a zero byte.
  // INVALID_ARGUMENT names `where` unless every walk stays inside the array and
  // every replacement is UTF-8.
  static absl::StatusOr<Charsmap> Parse(absl::string_view blob,
                                        const std::string& where);

  // Replaces as the "Precompiled" normalizer of Hugging Face does, which is not
  // quite as SentencePiece does: grapheme clusters of less than six bytes as a
  // whole, others character by character, by the shortest entry that the
  // cluster begins with. Sets `*head_lost` when nothing is left of what the
  // text began with.
  void Normalize(std::string* text, bool* head_lost) const;

 private:
  // The replacement of the shortest entry that `key` begins with.
  bool Find(absl::string_view key, absl::string_view* replacement) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

// Length of the extended grapheme cluster at the start of `text`, which is not
// empty (Unicode Standard Annex 29).
size_t GraphemeLength(absl::string_view text);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_CHARSMAP_H_
