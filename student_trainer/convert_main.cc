// Makes a student's folder of a state dict that PyTorch saved.

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "base/progress.h"
#include "student_trainer/converter.h"

ABSL_FLAG(std::string, checkpoint, kodistil::ConvertOptions().checkpoint,
          "The state dict: a file that torch.save wrote (PyTorch 1.6 or "
          "later). It is read by our own restricted reader; nothing in it is "
          "run.");
ABSL_FLAG(std::string, vocab, kodistil::ConvertOptions().vocab,
          "The vocabulary that the model was trained with, one piece a line.");
ABSL_FLAG(std::string, output, kodistil::ConvertOptions().output,
          "The folder to make.");
ABSL_FLAG(bool, lower_case, kodistil::ConvertOptions().lower_case,
          "Whether the model's texts were lower-cased.");
ABSL_FLAG(int, max_length, kodistil::ConvertOptions().max_length,
          "Tokens a row, [CLS] and [SEP] included; longer rows are cut.");

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  ParseCommandLine(
      argc, argv,
      {"bazel run //student_trainer:convert --",
       "Makes a student's folder (config.json, model.safetensors, vocab.txt) "
       "of a state dict saved by PyTorch, such as DistilKoBiLSTM's.",
       {"bazel run //student_trainer:convert -- --checkpoint=student.pt "
        "--vocab=vocab_size_3000/vocab.txt --output=student",
        "bazel run //student_trainer:convert -- --checkpoint=cased.pt "
        "--vocab=vocab.txt --output=student --nolower_case"}});
  ConvertOptions options;
  options.checkpoint = absl::GetFlag(FLAGS_checkpoint);
  options.vocab = absl::GetFlag(FLAGS_vocab);
  options.output = absl::GetFlag(FLAGS_output);
  options.lower_case = absl::GetFlag(FLAGS_lower_case);
  options.max_length = absl::GetFlag(FLAGS_max_length);
  const absl::StatusOr<StudentFolder> student = ConvertCheckpoint(options);
  if (!student.ok()) return ExitCodeOf(student.status());
  const StudentShape& shape = student->shape;
  std::printf(
      "vocab_size %d, embedding_dim %d, hidden_dim %d, lstm_num_layers %d, "
      "num_classes %d\nparameters %s\nwritten to %s\n",
      shape.vocab_size, shape.embedding_dim, shape.hidden_dim,
      shape.lstm_num_layers, shape.num_classes,
      WithCommas(shape.Parameters()).c_str(), options.output.c_str());
  return kExitOk;
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
