// Prints the ids of each line of text, or compares them with a file of cases.

#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/tokenizer.h"
#include "corpus/tokenizer_cases.h"
#include "corpus/tokenizer_loader.h"
#include "corpus/wordpiece_tokenizer.h"

ABSL_FLAG(std::string, vocab, "",
          "WordPiece vocabulary: one piece a line, UTF-8.");
ABSL_FLAG(std::string, tokenizer, "",
          "Folder of a Hugging Face tokenizer of any kind, instead of --vocab; "
          "its files say how.");
ABSL_FLAG(std::string, mecab_dicdir, kodistil::TokenizerOptions().mecab_dicdir,
          "With --tokenizer: split words into morphemes by this MeCab "
          "dictionary first.");
ABSL_FLAG(std::string, input, "", "Text, one a line; empty for stdin.");
ABSL_FLAG(std::string, cases, "",
          "Compare with these answers of Hugging Face, as their settings say.");
ABSL_FLAG(bool, lower_case, false, "With --vocab: lower-case the text.");
ABSL_FLAG(bool, strip_accents, kodistil::WordPieceOptions().strip_accents,
          "With --vocab: drop combining accents.");
ABSL_FLAG(bool, slow, kodistil::WordPieceOptions().slow,
          "With --vocab: follow BertTokenizer (Python), not BertTokenizerFast: "
          "NFC, CJK range, unassigned code points.");
ABSL_FLAG(bool, special_literals, kodistil::WordPieceOptions().special_literals,
          "With --vocab: take [MASK] and the like in a text as those pieces.");
ABSL_FLAG(int, max_length, 0,
          "Cut to that many ids, special tokens included; 0 for no limit.");

namespace kodistil {
namespace {

// `defaults` with what the flags ask for.
WordPieceOptions OptionsFromFlags(WordPieceOptions defaults) {
  defaults.lower_case |= absl::GetFlag(FLAGS_lower_case);
  defaults.strip_accents |= absl::GetFlag(FLAGS_strip_accents);
  defaults.slow |= absl::GetFlag(FLAGS_slow);
  defaults.special_literals &= absl::GetFlag(FLAGS_special_literals);
  return defaults;
}

absl::Status Compare(const std::string& path) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  KODISTIL_ASSIGN_OR_RETURN(const TokenizerCases cases,
                            ParseTokenizerCases(json, path));
  const std::string source = absl::GetFlag(FLAGS_vocab);
  KODISTIL_ASSIGN_OR_RETURN(const std::string vocab, ReadFile(source));
  KODISTIL_ASSIGN_OR_RETURN(
      const std::vector<TokenizerDifference> differences,
      CompareTokenizer(cases, vocab, source, OptionsFromFlags(cases.options)));
  return ReportDifferences(differences, cases, path, &std::cout);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> NewTokenizer() {
  const std::string folder = absl::GetFlag(FLAGS_tokenizer);
  if (folder.empty()) {
    const std::string source = absl::GetFlag(FLAGS_vocab);
    WordPieceOptions options;
    options.lower_case = false;
    KODISTIL_ASSIGN_OR_RETURN(const std::string vocab, ReadFile(source));
    return WordPieceTokenizer::Create(vocab, source, OptionsFromFlags(options));
  }
  KODISTIL_ASSIGN_OR_RETURN(
      LoadedTokenizer loaded,
      LoadTokenizer(folder, {absl::GetFlag(FLAGS_mecab_dicdir)}));
  return std::move(loaded.tokenizer);
}

absl::Status PrintIds() {
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                            NewTokenizer());
  const std::string path = absl::GetFlag(FLAGS_input);
  std::ifstream file(path);
  if (!path.empty() && !file) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  return EncodeLines(*tokenizer, absl::GetFlag(FLAGS_max_length),
                     path.empty() ? &std::cin : &file, &std::cout);
}

absl::Status Run() {
  const std::string cases = absl::GetFlag(FLAGS_cases);
  const bool has_vocab = !absl::GetFlag(FLAGS_vocab).empty();
  if (has_vocab != absl::GetFlag(FLAGS_tokenizer).empty() ||
      (!has_vocab && !cases.empty()) ||
      (has_vocab && !absl::GetFlag(FLAGS_mecab_dicdir).empty())) {
    return absl::InvalidArgumentError(
        "expected --vocab=FILE, with --cases if at all, or --tokenizer=FOLDER, "
        "with --mecab_dicdir if at all");
  }
  return cases.empty() ? PrintIds() : Compare(cases);
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //corpus:tokenize --",
       "Prints the ids of each line of text, with the special tokens, or "
       "compares them with Hugging Face's answers.",
       {"bazel run //corpus:tokenize -- --tokenizer=FOLDER --input=texts.txt",
        "bazel run //corpus:tokenize -- --vocab=v.txt --cases=cases.json"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
