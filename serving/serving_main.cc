// The student server.

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "base/drain_flags.h"
#include "base/process_metrics.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "serving/student_server.h"
#include "student_trainer/inference_kernel.h"

ABSL_FLAG(std::string, model, "",
          "students' folders, the first being the default: FOLDER or "
          "NAME=FOLDER, separated by commas");
ABSL_FLAG(std::string, precision, "fp32",
          "fp32 or int8: int8 is faster and answers almost the same");
ABSL_FLAG(std::string, host, kodistil::ServerOptions().host,
          "address for gRPC; beyond loopback with --tls_cert or --insecure");
ABSL_FLAG(std::string, http_host, kodistil::HttpServerOptions().host,
          "address for HTTP, which has no TLS: beyond loopback --insecure");
ABSL_FLAG(int, port, 50081, "gRPC's port; 0 takes any free one");
ABSL_FLAG(int, http_port, 8080, "HTTP's port; 0 takes any free one");
ABSL_FLAG(std::string, port_file, "", "file to write gRPC's port to");
ABSL_FLAG(std::string, http_port_file, "", "file to write HTTP's port to");
ABSL_FLAG(int, threads, 0,
          "threads for HTTP, and for large requests; 0 for one per core");
ABSL_FLAG(int, cache_rows, kodistil::ClassifierOptions().cache_rows,
          "answers kept for texts that come again; 0 for none");
ABSL_FLAG(int, large_bytes, kodistil::ClassifierOptions().large_bytes,
          "requests with more text than this wait in the queue of large ones");
ABSL_FLAG(int, max_queue, kodistil::WorkerPoolOptions().max_queue,
          "large requests that wait; more are refused");
ABSL_FLAG(int, max_connections, kodistil::HttpServerOptions().max_connections,
          "HTTP connections at once; more are refused");
ABSL_FLAG(absl::Duration, time_limit, kodistil::ClassifierOptions().time_limit,
          "how long a large request may take");
ABSL_FLAG(absl::Duration, reload_interval,
          kodistil::ModelSetOptions().reload_interval,
          "how often the folders are looked at for a new model; 0 for never");
KODISTIL_DEFINE_DRAIN_FLAGS();
KODISTIL_DEFINE_ACCESS_FLAGS();

namespace kodistil {
namespace {

// 64 texts of 10,000 characters of 4 bytes fit.
constexpr int kMaxMessage = 4 << 20;

absl::StatusOr<StudentServerOptions> OptionsFromFlags() {
  if (absl::GetFlag(FLAGS_model).empty()) {
    return absl::InvalidArgumentError("--model: expected a student's folder");
  }
  const int asked = absl::GetFlag(FLAGS_threads);
  const int threads =
      asked != 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
  StudentServerOptions options;
  ModelSetOptions& models = options.classifier.models;
  KODISTIL_ASSIGN_OR_RETURN(models.models,
                            ParseModelSpecs(absl::GetFlag(FLAGS_model)));
  KODISTIL_ASSIGN_OR_RETURN(
      models.precision,
      ParseInferencePrecision(absl::GetFlag(FLAGS_precision)));
  models.reload_interval = absl::GetFlag(FLAGS_reload_interval);
  options.classifier.cache_rows = absl::GetFlag(FLAGS_cache_rows);
  options.classifier.large_bytes = absl::GetFlag(FLAGS_large_bytes);
  options.classifier.time_limit = absl::GetFlag(FLAGS_time_limit);
  options.classifier.pool = {threads, absl::GetFlag(FLAGS_max_queue)};
  options.grpc.host = absl::GetFlag(FLAGS_host);
  options.http.host = absl::GetFlag(FLAGS_http_host);
  options.grpc.access = AccessFromFlags();
  options.grpc.port = absl::GetFlag(FLAGS_port);
  options.grpc.max_message_bytes = kMaxMessage;
  DrainFromFlags(&options.grpc.drain_grace, &options.grpc.drain);
  options.http.drain = options.grpc.drain;
  options.http.port = absl::GetFlag(FLAGS_http_port);
  options.http.io_threads = threads;
  options.http.max_connections = absl::GetFlag(FLAGS_max_connections);
  return options;
}

absl::Status Run() {
  KODISTIL_ASSIGN_OR_RETURN(StudentServerOptions options, OptionsFromFlags());
  const auto process_metrics = AddProcessMetrics(options.registry);
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<StudentServer> server,
                            StudentServer::Start(options));
  // HTTP's first: who waits for gRPC's file finds both.
  KODISTIL_RETURN_IF_ERROR(WritePortFile(absl::GetFlag(FLAGS_http_port_file),
                                         server->http()->port()));
  KODISTIL_RETURN_IF_ERROR(
      WritePortFile(absl::GetFlag(FLAGS_port_file), server->grpc()->port()));
  LOG(INFO) << "serving on http://" << server->http()->address() << " and gRPC "
            << server->grpc()->address();
  WaitForStopSignal();
  server->Drain();
  return absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::BlockStopSignals();
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //serving --",
       "Serves trained students over HTTP, with a web page, and gRPC.",
       {"bazel run //serving -- --model=work/students/TRIAL",
        "bazel run //serving -- --model=base=DIR1,tiny=DIR2 --precision=int8 "
        "--http_port=8080"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
