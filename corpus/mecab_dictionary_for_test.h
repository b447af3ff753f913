// A tiny MeCab dictionary of Korean morphemes for tests.

#ifndef KODISTIL_CORPUS_MECAB_DICTIONARY_FOR_TEST_H_
#define KODISTIL_CORPUS_MECAB_DICTIONARY_FOR_TEST_H_

#include <string>

#include "absl/status/statusor.h"

namespace kodistil {

// Compiles a dictionary of 영화, 가, 재미있 and 다 with mecab-dict-index
// (Debian's mecab-utils) in `charset` ("utf-8" or "euc-kr"); returns its
// folder. INTERNAL says what the compiler printed.
absl::StatusOr<std::string> MakeMecabDictionary(const std::string& charset);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_MECAB_DICTIONARY_FOR_TEST_H_
