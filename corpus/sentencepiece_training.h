// Trains SentencePiece models for tests.

#ifndef KODISTIL_CORPUS_SENTENCEPIECE_TRAINING_H_
#define KODISTIL_CORPUS_SENTENCEPIECE_TRAINING_H_

#include <string>
#include <vector>

namespace kodistil {

// The serialized model that the library's trainer makes of `texts` with `flags`
// ("--vocab_size=500 ..."); empty when it fails, with the reason on stderr. (No
// Abseil here, see sentencepiece_bridge.h.)
std::string TrainSentencePiece(const std::vector<std::string>& texts,
                               const std::string& flags);

// The ids that the library gives for a text.
std::vector<int> SentencePieceIds(const std::string& model,
                                  const std::string& text);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SENTENCEPIECE_TRAINING_H_
