// Splits words into morphemes with MeCab, for vocabularies that were made from
// morphemes.

#ifndef KODISTIL_CORPUS_MECAB_SPLITTER_H_
#define KODISTIL_CORPUS_MECAB_SPLITTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "corpus/pre_tokenizer.h"

namespace kodistil {

// Each word of the text that white space separates becomes its morphemes, every
// one a word of its own. The dictionary (dicrc, sys.dic, matrix.bin, char.bin,
// unk.dic) is trusted as the program itself is: MeCab does not check it.
// NOT_FOUND names a file that is not there; INVALID_ARGUMENT says that MeCab
// cannot read the dictionary, or that its character set is not UTF-8.
absl::StatusOr<std::unique_ptr<PreTokenizer>> NewMecabSplitter(
    const std::string& dictionary_dir);

// SHA-256 over the files of a dictionary that decide morphemes. Errors as
// above.
absl::StatusOr<std::string> MecabDictionaryDigest(
    const std::string& dictionary_dir);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_MECAB_SPLITTER_H_
