// Prints the ids of each line of text, or compares them with a file of cases.

#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/tokenizer_cases.h"
#include "corpus/wordpiece_tokenizer.h"

ABSL_FLAG(std::string, vocab, "", "Vocabulary: one piece a line, UTF-8.");
ABSL_FLAG(std::string, input, "", "Text, one a line; empty for stdin.");
ABSL_FLAG(std::string, cases, "",
          "Compare with this JSON file of Hugging Face's answers, tokenising "
          "as its settings say, instead of reading text.");
ABSL_FLAG(bool, lower_case, false, "Lower-case the text.");
ABSL_FLAG(bool, strip_accents, kodistil::WordPieceOptions().strip_accents,
          "Drop combining accents.");
ABSL_FLAG(bool, slow, kodistil::WordPieceOptions().slow,
          "Follow BertTokenizer (Python) where it differs from "
          "BertTokenizerFast: NFC, CJK range, unassigned code points.");
ABSL_FLAG(bool, special_literals, kodistil::WordPieceOptions().special_literals,
          "Take [MASK] and the like in a text as those pieces; "
          "--nospecial_literals makes them ordinary text.");
ABSL_FLAG(int, max_length, 0,
          "Cut to that many ids, [CLS] and [SEP] included, 2 or more; 0 for no "
          "limit.");

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

absl::Status Compare(const std::string& vocab) {
  const std::string path = absl::GetFlag(FLAGS_cases);
  KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  KODISTIL_ASSIGN_OR_RETURN(const TokenizerCases cases,
                            ParseTokenizerCases(json, path));
  KODISTIL_ASSIGN_OR_RETURN(
      const std::vector<TokenizerDifference> differences,
      CompareTokenizer(cases, vocab, absl::GetFlag(FLAGS_vocab),
                       OptionsFromFlags(cases.options)));
  for (const TokenizerDifference& difference : differences) {
    std::cout << difference.ToString() << "\n";
  }
  std::cout << cases.cases.size() << " cases, " << differences.size()
            << " different" << std::endl;
  if (differences.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": ", differences.size(),
                                          " of ", cases.cases.size(),
                                          " cases differ"));
}

absl::Status PrintIds(const std::string& vocab) {
  const int max_length = absl::GetFlag(FLAGS_max_length);
  if (max_length < 0 || max_length == 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--max_length is ", max_length, ", expected 2 or more, or 0"));
  }
  WordPieceOptions defaults;
  defaults.lower_case = false;
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<WordPieceTokenizer> tokenizer,
      WordPieceTokenizer::Create(vocab, absl::GetFlag(FLAGS_vocab),
                                 OptionsFromFlags(defaults)));
  const std::string path = absl::GetFlag(FLAGS_input);
  std::ifstream file(path);
  if (!path.empty() && !file) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  std::istream& input = path.empty() ? std::cin : file;
  for (std::string line; std::getline(input, line);) {
    std::cout << absl::StrJoin(tokenizer->Encode(line, max_length), " ")
              << "\n";
  }
  return absl::OkStatus();
}

absl::Status Run() {
  if (absl::GetFlag(FLAGS_vocab).empty()) {
    return absl::InvalidArgumentError("--vocab=FILE is missing");
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string vocab,
                            ReadFile(absl::GetFlag(FLAGS_vocab)));
  return absl::GetFlag(FLAGS_cases).empty() ? PrintIds(vocab) : Compare(vocab);
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //corpus:tokenize --",
       "Prints the WordPiece ids of each line of text, with [CLS] and [SEP], "
       "or "
       "compares them with Hugging Face's answers.",
       {"bazel run //corpus:tokenize -- --vocab=vocab.txt --lower_case "
        "--input=reviews.txt",
        "bazel run //corpus:tokenize -- --vocab=vocab.txt "
        "--cases=cases.json"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
