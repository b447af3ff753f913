// Asks a student server about texts.

#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "serving/classify_client.h"

ABSL_FLAG(std::string, server, kodistil::ClassifyClientOptions().server,
          "HOST:PORT of the server's gRPC");
ABSL_FLAG(std::string, model, kodistil::ClassifyClientOptions().model,
          "name of one of the server's models; empty for its first one");
ABSL_FLAG(std::string, output, kodistil::ClassifyClientOptions().output,
          "tsv (label, its probability, text) or jsonl (with all "
          "probabilities)");
ABSL_FLAG(absl::Duration, retry_limit,
          kodistil::ClassifyClientOptions().retry_limit,
          "how long a server that is away is asked again");
KODISTIL_DEFINE_CLIENT_ACCESS_FLAGS();

namespace kodistil {
namespace {

absl::Status Run(const std::vector<std::string>& arguments) {
  ClassifyClientOptions options;
  options.server = absl::GetFlag(FLAGS_server);
  options.model = absl::GetFlag(FLAGS_model);
  options.output = absl::GetFlag(FLAGS_output);
  options.retry_limit = absl::GetFlag(FLAGS_retry_limit);
  options.access = ClientAccessFromFlags();
  if (!arguments.empty()) {
    options.place = "argument";
    size_t used = 0;
    const auto next = [&](std::string* text) {
      if (used == arguments.size()) return false;
      *text = arguments[used++];
      return true;
    };
    return ClassifyTexts(options, next, &std::cout);
  }
  // Who types wants an answer to each line.
  if (isatty(STDIN_FILENO) != 0) options.batch_rows = 1;
  const auto next = [](std::string* text) {
    if (!std::getline(std::cin, *text)) return false;
    if (!text->empty() && text->back() == '\r') text->pop_back();
    return true;
  };
  options.place = "standard input, line";
  return ClassifyTexts(options, next, &std::cout);
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  const std::vector<std::string> arguments = kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //serving:classify --",
       "Asks a student server about its arguments, or about the lines of "
       "standard input, over gRPC.",
       {"bazel run //serving:classify -- '정말 재미있다' '지루하다'",
        "bazel run //serving:classify -- --output=jsonl < reviews.txt"},
       /*takes_arguments=*/true});
  return kodistil::ExitCodeOf(kodistil::Run(arguments));
}
