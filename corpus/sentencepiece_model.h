// Reads and checks SentencePiece's model files, so that a library which trusts
// them can be given any.

#ifndef KODISTIL_CORPUS_SENTENCEPIECE_MODEL_H_
#define KODISTIL_CORPUS_SENTENCEPIECE_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "corpus/piece_model.h"

namespace kodistil {

// What of a ModelProto (sentencepiece_model.proto) decides pieces and ids.
struct SentencePieceModel {
  // Of the field `type` of a piece.
  enum Type { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

  struct Piece {
    std::string text;
    float score = 0;
    uint64_t type = kNormal;
  };

  std::vector<Piece> pieces;  // the place is the id
  uint64_t model_type = 1;    // 1 unigram, 2 BPE, 3 word, 4 character
  bool treat_whitespace_as_suffix = false;
  bool byte_fallback = false;
  std::string precompiled_charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;

  // DATA_LOSS when `bytes` is no ModelProto, INVALID_ARGUMENT when its values
  // are not what a trainer writes (pieces that are empty, not UTF-8, not unique
  // or longer than 1,000 bytes, scores that are not finite, no unknown piece,
  // bytes missing, a normalisation table that points outside of itself); both
  // name `source` and the place.
  static absl::StatusOr<SentencePieceModel> Parse(absl::string_view bytes,
                                                  const std::string& source);

  // A ModelProto of just these values.
  std::string Serialize() const;
  // Ids as SentencePieceProcessor::PieceToId gives them.
  PieceIds Ids() const;
  // The id of the unknown piece.
  int32_t unk_id() const;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SENTENCEPIECE_MODEL_H_
