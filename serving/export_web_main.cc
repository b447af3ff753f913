// Writes the web page with a student inside it, and prints its size.

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "base/progress.h"
#include "base/table.h"
#include "serving/web_export.h"

ABSL_FLAG(std::string, model, kodistil::WebExportOptions().model,
          "The student's folder: config.json, model.safetensors, vocab.txt, "
          "tokenizer_config.json.");
ABSL_FLAG(std::string, output, kodistil::WebExportOptions().output,
          "The folder to make; files of the same names in it are replaced.");

namespace kodistil {
namespace {

int Main(int argc, char** argv) {
  ParseCommandLine(
      argc, argv,
      {"bazel run //serving:export_web --",
       "Writes a page that classifies texts in the browser: open its "
       "index.html from disk, or put the folder on any web server. Prints the "
       "bytes of each file, and what gzip makes of them.",
       {"bazel run //serving:export_web -- --model=work/students/TRIAL "
        "--output=page",
        "bazel run //serving:export_web -- --model=student "
        "--output=public/reviews"}});
  WebExportOptions options;
  options.model = absl::GetFlag(FLAGS_model);
  options.output = absl::GetFlag(FLAGS_output);
  const absl::StatusOr<std::vector<ExportedFile>> files = ExportWeb(options);
  if (!files.ok()) return ExitCodeOf(files.status());
  Table table({{"file"}, {"bytes", /*right=*/true}, {"gzip", /*right=*/true}});
  ExportedFile total{"total"};
  for (const ExportedFile& file : *files) {
    table.AddRow({file.name, WithCommas(file.bytes), WithCommas(file.gzipped)});
    total.bytes += file.bytes;
    total.gzipped += file.gzipped;
  }
  table.AddRow(
      {total.name, WithCommas(total.bytes), WithCommas(total.gzipped)});
  std::printf("%swritten to %s\n", table.ToText().c_str(),
              options.output.c_str());
  return kExitOk;
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) { return kodistil::Main(argc, argv); }
