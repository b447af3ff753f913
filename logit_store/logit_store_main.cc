// The logit store server.

#include <glog/logging.h>

#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "base/drain_flags.h"
#include "base/metrics.h"
#include "base/metrics_flags.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/store_metrics.h"

ABSL_FLAG(std::string, db_path, "work/logit_store",
          "folder of the RocksDB database; made when it is not there");
ABSL_FLAG(std::string, host, kodistil::ServerOptions().host,
          "address to listen on; 0.0.0.0 for all");
ABSL_FLAG(int, port, 50061, "port to listen on; 0 takes any free one");
ABSL_FLAG(std::string, port_file, "",
          "file to which the port is written once the server serves");
ABSL_FLAG(std::string, durability, "machine",
          "what acknowledged logits survive: machine (a power cut) or process "
          "(kill -9 alone; faster)");
ABSL_FLAG(absl::Duration, lock_wait,
          kodistil::RocksDbLogitStoreOptions().lock_wait,
          "how long to wait for a process that has the database open");
ABSL_FLAG(int, max_calls, kodistil::LogitStoreServiceOptions().max_calls,
          "calls served at once; further ones are UNAVAILABLE");
KODISTIL_DEFINE_DRAIN_FLAGS();
KODISTIL_DEFINE_ACCESS_FLAGS();
KODISTIL_DEFINE_METRICS_FLAGS();

namespace kodistil {
namespace {

absl::Status Run() {
  const std::string durability = absl::GetFlag(FLAGS_durability);
  if (durability != "machine" && durability != "process") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--durability=", durability, ": expected machine or process"));
  }
  RocksDbLogitStoreOptions store_options;
  store_options.path = absl::GetFlag(FLAGS_db_path);
  store_options.lock_wait = absl::GetFlag(FLAGS_lock_wait);
  store_options.sync = durability == "machine";
  LogitStoreServiceOptions service_options;
  service_options.max_calls = absl::GetFlag(FLAGS_max_calls);
  KODISTIL_RETURN_IF_ERROR(service_options.Validate());
  ServerOptions server_options;
  server_options.host = absl::GetFlag(FLAGS_host);
  server_options.port = absl::GetFlag(FLAGS_port);
  server_options.access = AccessFromFlags();
  DrainFromFlags(&server_options.drain_grace, &server_options.drain);
  KODISTIL_RETURN_IF_ERROR(server_options.Validate());

  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<MetricsEndpoint> metrics,
                            MetricsEndpoint::Start(MetricsFromFlags()));
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbLogitStore> store,
                            RocksDbLogitStore::Open(store_options));
  const auto database_metrics = AddDatabaseMetrics(
      [&store] { return store->Health(); },
      [&store](const std::string& name) { return store->Property(name); },
      &MetricRegistry::Process());
  LogitStoreServiceImpl service(store.get(), service_options);
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                            Server::Start(server_options, {&service}));
  KODISTIL_RETURN_IF_ERROR(
      WritePortFile(absl::GetFlag(FLAGS_port_file), server->port()));
  LOG(INFO) << "logit store " << store_options.path << " serves on "
            << server->address();
  store->WatchHealth([&server, &metrics](const absl::Status& health) {
    server->SetServing(health.ok());
    metrics->SetReady(health);
  });
  WaitForStopSignal();
  LOG(INFO) << "logit store stops";
  metrics->BeginDrain();
  server->BeginDrain();
  store->WatchHealth(nullptr);
  server->Shutdown();
  return absl::OkStatus();
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::BlockStopSignals();
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //logit_store --",
       "Serves logits of teachers, keyed by dataset index, out of a RocksDB "
       "database.",
       {"bazel run //logit_store -- --db_path=work/logit_store --port=50061",
        "bazel run //logit_store -- --host=0.0.0.0 --tls_cert=store.crt "
        "--tls_key=store.key --tls_ca=ca.crt"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
