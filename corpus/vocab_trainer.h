// Trains a WordPiece vocabulary in the manner of Hugging Face's
// BertWordPieceTokenizer.train: byte-pair merges over words, pieces inside a
// word written with "##".

#ifndef KODISTIL_CORPUS_VOCAB_TRAINER_H_
#define KODISTIL_CORPUS_VOCAB_TRAINER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/word_splitter.h"

namespace kodistil {

struct VocabTrainerOptions {
  int vocab_size = 3000;  // pieces, special ones included, 100 to 65,535
  // The most frequent characters are kept, 1 or more. At most half of
  // vocab_size is kept whatever this says (the seed's ratio too), since a
  // character takes two pieces: at the start of a word and inside.
  int limit_alphabet = 6000;
  int min_frequency = 2;  // merges of rarer pairs are not made; 1 or more
  WordPieceOptions tokenizer;

  absl::Status Validate() const;
};

// The vocabulary file's content, one piece a line: [PAD], [UNK], [CLS], [SEP],
// [MASK], the alphabet by code point, the same with "##" where it occurs inside
// words, then the merges, most frequent pair first. Deterministic, whatever the
// order of the texts: of pairs as frequent the one whose pieces come first is
// merged. May hold fewer pieces than asked when the text has no more.
// INVALID_ARGUMENT for bad options; FAILED_PRECONDITION when there is no word.
absl::StatusOr<std::string> TrainVocab(const std::vector<std::string>& texts,
                                       const VocabTrainerOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_VOCAB_TRAINER_H_
