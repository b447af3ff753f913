// The vocabularies of a sweep: taken from a folder in the seed's layout, or
// trained on the training split and kept.

#ifndef KODISTIL_COORDINATOR_VOCABULARIES_H_
#define KODISTIL_COORDINATOR_VOCABULARIES_H_

#include <string>

#include "absl/status/statusor.h"
#include "corpus/dataset.h"
#include "corpus/wordpiece_tokenizer.h"

namespace kodistil {

struct VocabularyOptions {
  // Holds vocab_size_N/vocab.txt; empty to train.
  std::string tokenizer_dir;
  // Where trained ones are kept, in the same layout.
  std::string keep_dir;
  // Lower-cased with accents kept, as the seed tokenises.
  WordPieceOptions tokenizer;
};

// Content of the vocabulary of `size` pieces. NOT_FOUND names the file that
// tokenizer_dir lacks, INVALID_ARGUMENT one with more pieces than `size`.
absl::StatusOr<std::string> FindOrTrainVocab(const VocabularyOptions& options,
                                             const Dataset& dataset, int size);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_VOCABULARIES_H_
