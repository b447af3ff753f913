// Loads a student server and says how long its answers took.

#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "corpus/dataset_flags.h"
#include "corpus/dataset_reader.h"
#include "serving/load_generator.h"

ABSL_FLAG(std::string, address, "127.0.0.1:8080", "IP:PORT of the server");
ABSL_FLAG(std::string, protocol, kodistil::LoadOptions().protocol,
          "http or grpc");
ABSL_FLAG(double, rate, kodistil::LoadOptions().rate, "requests a second");
ABSL_FLAG(absl::Duration, duration, kodistil::LoadOptions().duration,
          "how long");
ABSL_FLAG(int, connections, kodistil::LoadOptions().connections,
          "requests at once");
ABSL_FLAG(bool, allow_remote, false,
          "whether the address may be another machine's");
KODISTIL_DEFINE_DATASET_FLAGS();

namespace kodistil {
namespace {

double Milliseconds(absl::Duration duration) {
  return absl::ToDoubleMilliseconds(duration);
}

absl::Status Run() {
  LoadOptions options;
  options.address = absl::GetFlag(FLAGS_address);
  options.protocol = absl::GetFlag(FLAGS_protocol);
  options.rate = absl::GetFlag(FLAGS_rate);
  options.duration = absl::GetFlag(FLAGS_duration);
  options.connections = absl::GetFlag(FLAGS_connections);
  options.allow_remote = absl::GetFlag(FLAGS_allow_remote);
  KODISTIL_ASSIGN_OR_RETURN(
      const Dataset dataset,
      ReadDataset(DatasetOptionsFromFlags(), /*report=*/nullptr));
  for (const Row& row : dataset.rows) options.texts.push_back(row.text);
  KODISTIL_ASSIGN_OR_RETURN(const LoadResult result, RunLoad(options));
  std::cout << absl::StrFormat(
      "%d good answers, %.0f/s; ms from when they were due: p50 %.3f, p90 "
      "%.3f, p99 %.3f, most %.3f; begun late by %.3f at p99\n",
      result.good, result.rate(), Milliseconds(result.p50),
      Milliseconds(result.p90), Milliseconds(result.p99),
      Milliseconds(result.most), Milliseconds(result.late_p99));
  int64_t failed = 0;
  for (const auto& [what, count] : result.failures) {
    std::cout << count << " failed: " << what << "\n";
    failed += count;
  }
  if (failed == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(failed, " of ", failed + result.good, " requests failed"));
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //serving:load_test --",
       "Sends texts of a dataset to a student server at a fixed rate.",
       {"bazel run //serving:load_test -- --rate=2000 --duration=10s",
        "bazel run //serving:load_test -- --protocol=grpc "
        "--address=127.0.0.1:50081 --dataset=nsmc --data_dir=DIR"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
