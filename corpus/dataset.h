// A dataset: an ordered list of rows, its fingerprint, and its canonical file.

#ifndef KODISTIL_CORPUS_DATASET_H_
#define KODISTIL_CORPUS_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

enum class Split : uint8_t { kNone = 0, kTrain = 1, kValid = 2, kTest = 3 };

// "none", "train", "valid", "test".
absl::string_view SplitName(Split split);
// INVALID_ARGUMENT naming the four for anything else.
absl::StatusOr<Split> ParseSplit(absl::string_view name);

inline constexpr int kNoLabel = -1;

struct Row {
  std::string text;         // UTF-8, not empty, no NUL
  std::string second_text;  // of a pair; empty when there is none
  int label = kNoLabel;     // class, from 0
  Split split = Split::kNone;
};

// Rows in order: a row's index is its position and never changes with the
// split. Plain data; copying copies all rows.
struct Dataset {
  std::string name;  // such as "nsmc"; not part of the fingerprint
  std::vector<Row> rows;
  int num_classes = 2;

  // SHA-256 over the canonical rows, 64 hexadecimal digits.
  std::string Fingerprint() const;
  // Indices of the rows of `split`, ascending.
  std::vector<uint32_t> IndicesOf(Split split) const;
};

// SHA-256 of a row's text and second text, first 16 bytes, raw: what the logit
// store keeps beside the logits.
std::string TextHash(absl::string_view text, absl::string_view second_text);

// The canonical file (*.kds): every row with its split, checksummed. The same
// dataset always gives the same bytes, so the file's SHA-256 names it.
std::string SerializeDataset(const Dataset& dataset);
// DATA_LOSS, naming `source` and the byte, when the bytes are damaged;
// FAILED_PRECONDITION for a newer format version.
absl::StatusOr<Dataset> ParseDataset(absl::string_view bytes,
                                     const std::string& source);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_DATASET_H_
