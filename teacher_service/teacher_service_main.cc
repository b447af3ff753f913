// The teacher server.

#include <glog/logging.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "base/drain_flags.h"
#include "base/metrics_flags.h"
#include "base/progress.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "logit_store/logit_store_client.h"
#include "teacher_service/describe.h"
#include "teacher_service/registration.h"
#include "teacher_service/registration_flags.h"
#include "teacher_service/teacher_model.h"
#include "teacher_service/teacher_model_flags.h"
#include "teacher_service/teacher_service_flags.h"
#include "teacher_service/teacher_service_impl.h"

KODISTIL_DEFINE_TEACHER_MODEL_FLAGS();
ABSL_FLAG(std::string, host, kodistil::ServerOptions().host,
          "address to listen on");
ABSL_FLAG(int, port, 50051, "port to listen on; 0 takes any free one");
ABSL_FLAG(std::string, port_file, "", "file to write the port to");
ABSL_FLAG(std::string, logit_store, "",
          "host:port of the logit store that Label writes to");
ABSL_FLAG(bool, describe, false, "say what the model is and how fast");
ABSL_FLAG(std::string, output, kodistil::DescribeOptions().output,
          "of --describe: table or json");
KODISTIL_DEFINE_DRAIN_FLAGS();
KODISTIL_DEFINE_ACCESS_FLAGS();
KODISTIL_DEFINE_METRICS_FLAGS();
KODISTIL_DEFINE_REGISTRATION_FLAGS();
KODISTIL_DEFINE_TEACHER_SERVICE_FLAGS();

namespace kodistil {
namespace {

absl::Status Main() {
  if (absl::GetFlag(FLAGS_describe)) {
    return PrintDescription(
        {TeacherModelOptionsFromFlags(), absl::GetFlag(FLAGS_output),
         absl::GetFlag(FLAGS_max_batch_tokens)},
        std::cout);
  }
  ServerOptions server_options;
  server_options.host = absl::GetFlag(FLAGS_host);
  server_options.port = absl::GetFlag(FLAGS_port);
  DrainFromFlags(&server_options.drain_grace, &server_options.drain);
  server_options.access = AccessFromFlags();
  // Before the model is loaded, which may take minutes.
  KODISTIL_RETURN_IF_ERROR(server_options.Validate());
  KODISTIL_RETURN_IF_ERROR(server_options.access.CheckFiles());
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<MetricsEndpoint> metrics,
                            MetricsEndpoint::Start(MetricsFromFlags()));
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<TeacherModel> model,
                            LoadTeacherModel(TeacherModelOptionsFromFlags()));
  const TeacherInfo& info = model->info();
  const std::string store_address = absl::GetFlag(FLAGS_logit_store);
  LogitStoreClientOptions store_options;
  store_options.access = server_options.access;
  LogitStoreClient store(store_address, store_options);
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<TeacherServiceImpl> service,
      TeacherServiceImpl::Create(model.get(),
                                 store_address.empty() ? nullptr : &store,
                                 TeacherServiceFromFlags(info.device)));
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                            Server::Start(server_options, {service.get()}));
  KODISTIL_RETURN_IF_ERROR(
      WritePortFile(absl::GetFlag(FLAGS_port_file), server->port()));
  LOG(INFO) << "serving " << info.name << " (" << info.model_type << ", "
            << info.num_classes << " classes, " << WithCommas(info.parameters)
            << " parameters, " << info.device << ") on " << server->address();
  RegistrationOptions registration_options = RegistrationFromFlags();
  registration_options.access = server_options.access;
  registration_options.port = server->port();
  registration_options.fingerprint = info.fingerprint;
  registration_options.name = info.name;
  registration_options.labels = !store_address.empty();
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<Registration> registration,
                            Registration::Start(registration_options));
  metrics->SetReady(absl::OkStatus());
  WaitForStopSignal();
  registration->Leave();
  metrics->BeginDrain();
  server->BeginDrain();
  service->Drain();
  server->Shutdown();
  return absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //teacher_service --",
       "Serves a teacher: texts in, logits out, or into a logit store.",
       {"bazel run //teacher_service -- --model=work/teacher "
        "--logit_store=localhost:50052",
        "bazel run //teacher_service -- --model=work/teacher --describe",
        "bazel run //teacher_service -- --model=electra --device=cuda:0"}});
  if (!absl::GetFlag(FLAGS_describe)) kodistil::BlockStopSignals();
  return kodistil::ExitCodeOf(kodistil::Main());
}
