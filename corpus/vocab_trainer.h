// Trains a WordPiece vocabulary in the manner of Hugging Face's
// BertWordPieceTokenizer.train: byte-pair merges over words, pieces inside a
// word written with "##".

#ifndef KODISTIL_CORPUS_VOCAB_TRAINER_H_
#define KODISTIL_CORPUS_VOCAB_TRAINER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/wordpiece_tokenizer.h"

namespace kodistil {

struct VocabTrainerOptions {
  int vocab_size = 3000;      // pieces, special ones included, 100 to 65,535
  int limit_alphabet = 6000;  // most frequent characters kept
  int min_frequency = 2;      // merges of rarer pairs are not made
  WordPieceOptions tokenizer;

  absl::Status Validate() const;
};

// The vocabulary file's content: [PAD], [UNK], [CLS], [SEP], [MASK], the
// alphabet, then the merges, one a line. Deterministic: ties go to the pair that
// sorts first. May hold fewer pieces than asked when the text has no more.
absl::StatusOr<std::string> TrainVocab(const std::vector<std::string>& texts,
                                       const VocabTrainerOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_VOCAB_TRAINER_H_
