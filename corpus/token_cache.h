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
//
// The file, little-endian, each part padded with zeros to 8 bytes: a header of
// 64 bytes (magic "KDTOKENS", u32 version, u32 0, u64 rows, u64 tokens, the 32
// bytes of the digest), offsets u64[rows + 1], labels i16[rows], splits
// u8[rows], tokens u16[tokens], and the CRC-32C of all before as u64.
class TokenizedDataset {
 public:
  // Opens <cache_dir>/tokens/<digest>.ktok, where the digest is of the
  // dataset's fingerprint, the vocabulary, the options and max_length (pieces,
  // [CLS] and [SEP] included; 3 or more, or 0 for no limit); makes it when it
  // is not there (once, whoever asks: others wait). A damaged file is made
  // again. A row with a second text is a pair. INVALID_ARGUMENT for a bad
  // vocabulary or max_length, for more than 65,535 pieces, and for a label
  // above 32,767; errors of the file system name the path.
  static absl::StatusOr<TokenizedDataset> OpenOrCreate(
      const std::string& cache_dir, const Dataset& dataset,
      absl::string_view vocab, const WordPieceOptions& options, int max_length);

  // Opens what OpenOrCreate made of the dataset with that fingerprint, which
  // takes none of its rows. NOT_FOUND when nobody has, or it is damaged.
  static absl::StatusOr<TokenizedDataset> OpenMade(
      const std::string& cache_dir, const std::string& dataset_fingerprint,
      absl::string_view vocab, const WordPieceOptions& options, int max_length);

  // Opens one file. NOT_FOUND; DATA_LOSS naming the path and what is wrong.
  static absl::StatusOr<TokenizedDataset> Open(const std::string& path);

  // Whether OpenOrCreate made the file, rather than found it.
  bool created() const { return created_; }
  const std::string& path() const { return path_; }
  uint32_t row_count() const { return row_count_; }
  // [CLS] ... [SEP] of row `index`.
  absl::Span<const uint16_t> Tokens(uint32_t index) const;
  // kNoLabel when there is none.
  int Label(uint32_t index) const;
  Split SplitOf(uint32_t index) const;

 private:
  absl::Status Check();

  MappedFile file_;
  std::string path_;
  bool created_ = false;
  uint32_t row_count_ = 0;
  const uint64_t* offsets_ = nullptr;  // [row_count + 1], into tokens_
  const int16_t* labels_ = nullptr;    // [row_count]
  const uint8_t* splits_ = nullptr;    // [row_count]
  const uint16_t* tokens_ = nullptr;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_TOKEN_CACHE_H_
