// A tokenised dataset on disk: content-addressed, checksummed, memory-mapped,
// shared by all processes of a machine.

#ifndef KODISTIL_CORPUS_TOKEN_CACHE_H_
#define KODISTIL_CORPUS_TOKEN_CACHE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/files.h"
#include "corpus/dataset.h"
#include "corpus/wordpiece_tokenizer.h"

namespace kodistil {

// Tokens of every row of a dataset. Movable; thread-safe to read.
class TokenizedDataset {
 public:
  // Opens <cache_dir>/tokens/<digest>.ktok, where the digest is of the dataset's
  // fingerprint, the vocabulary, the options and max_length; makes it when it is
  // not there (once, whoever asks: others wait). A damaged file is made again.
  static absl::StatusOr<TokenizedDataset> OpenOrCreate(
      const std::string& cache_dir, const Dataset& dataset,
      absl::string_view vocab, const WordPieceOptions& options,
      int max_length);

  uint32_t row_count() const { return row_count_; }
  // [CLS] ... [SEP] of row `index`.
  absl::Span<const uint16_t> Tokens(uint32_t index) const;
  // kNoLabel when there is none.
  int Label(uint32_t index) const;
  Split SplitOf(uint32_t index) const;

 private:
  MappedFile file_;
  uint32_t row_count_ = 0;
  const uint64_t* offsets_ = nullptr;  // [row_count + 1], into tokens_
  const int16_t* labels_ = nullptr;    // [row_count]
  const uint8_t* splits_ = nullptr;    // [row_count]
  const uint16_t* tokens_ = nullptr;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKEN_CACHE_H_
