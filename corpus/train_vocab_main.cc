// Trains a WordPiece vocabulary on a dataset's training rows.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/dataset_flags.h"
#include "corpus/dataset_reader.h"
#include "corpus/vocab_trainer.h"

KODISTIL_DEFINE_DATASET_FLAGS();
ABSL_FLAG(std::string, input, "",
          "Train on the lines of this text file instead of a dataset.");
ABSL_FLAG(std::string, split, "train",
          "Rows to train on: train, valid, test, none or all.");
ABSL_FLAG(std::string, output, "vocab.txt", "The vocabulary file to write.");
ABSL_FLAG(int, vocab_size, kodistil::VocabTrainerOptions().vocab_size,
          "Pieces, special ones included, 100 to 65,535.");
ABSL_FLAG(int, limit_alphabet, kodistil::VocabTrainerOptions().limit_alphabet,
          "Characters kept, the most frequent; half of --vocab_size at most.");
ABSL_FLAG(int, min_frequency, kodistil::VocabTrainerOptions().min_frequency,
          "Occurrences below which a pair is not merged, 1 or more.");
ABSL_FLAG(bool, lower_case,
          kodistil::VocabTrainerOptions().tokenizer.lower_case,
          "Lower-case the text.");
ABSL_FLAG(bool, strip_accents,
          kodistil::VocabTrainerOptions().tokenizer.strip_accents,
          "Drop combining accents.");

namespace kodistil {
namespace {

VocabTrainerOptions OptionsFromFlags() {
  VocabTrainerOptions options;
  options.vocab_size = absl::GetFlag(FLAGS_vocab_size);
  options.limit_alphabet = absl::GetFlag(FLAGS_limit_alphabet);
  options.min_frequency = absl::GetFlag(FLAGS_min_frequency);
  options.tokenizer.lower_case = absl::GetFlag(FLAGS_lower_case);
  options.tokenizer.strip_accents = absl::GetFlag(FLAGS_strip_accents);
  return options;
}

// The texts of the rows of --split, both of a pair.
absl::StatusOr<std::vector<std::string>> ReadTexts() {
  const std::string input = absl::GetFlag(FLAGS_input);
  if (!input.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(input));
    return std::vector<std::string>(absl::StrSplit(text, '\n'));
  }
  const std::string split = absl::GetFlag(FLAGS_split);
  Split wanted = Split::kNone;
  if (split != "all") {
    KODISTIL_ASSIGN_OR_RETURN(wanted, ParseSplit(split));
  }
  ReadReport report;
  KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset,
                            ReadDataset(DatasetOptionsFromFlags(), &report));
  SayLine(DescribeSkipped(report));
  std::vector<std::string> texts;
  for (const Row& row : dataset.rows) {
    if (split != "all" && row.split != wanted) continue;
    texts.push_back(row.text);
    if (!row.second_text.empty()) texts.push_back(row.second_text);
  }
  return texts;
}

absl::Status Run() {
  const VocabTrainerOptions options = OptionsFromFlags();
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadTexts());
  KODISTIL_ASSIGN_OR_RETURN(const std::string vocab,
                            TrainVocab(texts, options));
  const std::string output = absl::GetFlag(FLAGS_output);
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(output, vocab));
  std::printf("%s: %d pieces from %zu texts\n", output.c_str(),
              static_cast<int>(absl::c_count(vocab, '\n')), texts.size());
  return absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //corpus:train_vocab --",
       "Trains a WordPiece vocabulary on a dataset's training rows, in the "
       "manner of Hugging Face's BertWordPieceTokenizer.",
       {"bazel run //corpus:train_vocab -- --dataset=nsmc --data_dir=nsmc "
        "--vocab_size=3000 --output=vocab.txt",
        "bazel run //corpus:train_vocab -- --input=reviews.txt "
        "--vocab_size=8000 --output=vocab.txt"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
