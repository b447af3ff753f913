#include "coordinator/vocabularies.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "corpus/vocab_trainer.h"

namespace kodistil {
namespace {

// Pieces of a vocabulary file: its lines.
int64_t CountPieces(const std::string& vocab) {
  const int64_t lines = std::count(vocab.begin(), vocab.end(), '\n');
  return vocab.empty() || vocab.back() == '\n' ? lines : lines + 1;
}

absl::StatusOr<std::string> Train(const VocabularyOptions& options,
                                  const Dataset& dataset, int size) {
  VocabTrainerOptions training;
  training.vocab_size = size;
  training.tokenizer = options.tokenizer;
  std::vector<std::string> texts;
  for (const uint32_t index : dataset.IndicesOf(Split::kTrain)) {
    texts.push_back(dataset.rows[index].text);
  }
  return TrainVocab(texts, training);
}

}  // namespace

absl::StatusOr<std::string> FindOrTrainVocab(const VocabularyOptions& options,
                                             const Dataset& dataset, int size) {
  const std::string file = absl::StrCat("vocab_size_", size, "/vocab.txt");
  if (!options.tokenizer_dir.empty()) {
    const std::string path = JoinPath(options.tokenizer_dir, file);
    KODISTIL_ASSIGN_OR_RETURN(std::string vocab, ReadFile(path));
    if (CountPieces(vocab) > size) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": found ", CountPieces(vocab),
                       " pieces, expected at most ", size));
    }
    return vocab;
  }
  const std::string path =
      JoinPath(options.keep_dir,
               absl::StrCat(FileNameFor(dataset.name), "-",
                            dataset.Fingerprint().substr(0, 16), "/", file));
  if (FileExists(path)) return ReadFile(path);
  KODISTIL_ASSIGN_OR_RETURN(std::string vocab, Train(options, dataset, size));
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(path, vocab));
  return vocab;
}

}  // namespace kodistil
